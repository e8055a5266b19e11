/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nshelper.h - Sockets of the namespace, made by a helper process in there
 */

#ifndef NSHELPER_H
#define NSHELPER_H

#include <stdbool.h>
#include <stdint.h>

#include "inany.h"
#include "loop.h"

/* Kinds of sockets, each with a pool */
enum nssock {
	NSSOCK_TCP4, NSSOCK_TCP6, NSSOCK_UDP4, NSSOCK_UDP6, NSSOCK_KINDS
};

#define NSHELPER_POOL	32		/* sockets in a full pool */

/**
 * struct nshelper - The helper, and pools of sockets
 * @fd:		Socket to the helper, -1: there is none
 * @ready:	The helper has answered once
 * @late:	The helper did not answer in time: don't wait for it
 * @copies:	The helper may still have copies of the last sockets
 * @seq:	Number of the last request
 * @max:	Sockets in a full pool, up to NSHELPER_POOL
 * @loop:	Loop for the event of @fd and for @timer
 * @asked:	More sockets of this kind have been asked for
 * @error:	Error of the last request for this kind, negative errno, 0: none, or it was told
 * @timer:	Armed to ask again after an error that may pass
 * @wait_ms:	Last interval of @timer, grows up to a second
 * @n:		Sockets in each pool
 * @pool:	Unbound, non-blocking, close-on-exec
 * @answers:	Number of answers, and of other ends of a wait
 * @bind_fd:	Socket that is being bound, -1: none; @bind_seq: number of that request
 * @bind_rc:	Result, -EINPROGRESS until then
 * @probe:	Sockets of nshelper_is_local(), IPv4 and IPv6; -1: not made yet
 */
struct nshelper {
	int fd;
	bool ready, late, copies;
	uint32_t seq;
	unsigned max;
	struct loop *loop;
	bool asked[NSSOCK_KINDS];
	int error[NSSOCK_KINDS];
	struct timer timer;
	unsigned wait_ms;
	unsigned n[NSSOCK_KINDS];
	int pool[NSSOCK_KINDS][NSHELPER_POOL];
	uint32_t answers, bind_seq;
	int bind_fd, bind_rc;
	int probe[2];
};

bool nshelper_checks(void);
_Noreturn void nshelper_run(int fd);

int nshelper_start(struct nshelper *h, int fd, struct loop *l, unsigned fds);
int nshelper_socket(struct nshelper *h, enum nssock kind);
int nshelper_bind(struct nshelper *h, int fd, const union sockaddr_inany *sa);
int nshelper_take(struct nshelper *h, enum nssock kind);
int nshelper_bind_start(struct nshelper *h, int fd,
			const union sockaddr_inany *sa);
int nshelper_bind_end(struct nshelper *h, int *fd);
bool nshelper_is_binding(const struct nshelper *h);
void nshelper_give_up(struct nshelper *h);
int nshelper_diag(struct nshelper *h);
void nshelper_settle(struct nshelper *h);
bool nshelper_is_local(struct nshelper *h, const union inany *src,
		       const union inany *dst, unsigned scope);
bool nshelper_works(const struct nshelper *h);
bool nshelper_error_passes(int rc);
bool nshelper_event(struct nshelper *h);
void nshelper_timer(struct nshelper *h);

#endif /* NSHELPER_H */

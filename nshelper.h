/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nshelper.h - Sockets that live in the namespace, made by a process in there
 */

#ifndef NSHELPER_H
#define NSHELPER_H

#include <stdbool.h>
#include <stdint.h>

#include "inany.h"
#include "loop.h"

/* What a pool is kept of */
enum nssock {
	NSSOCK_TCP4, NSSOCK_TCP6, NSSOCK_UDP4, NSSOCK_UDP6, NSSOCK_KINDS
};

#define NSHELPER_POOL	32		/* sockets of each kind at hand */

/**
 * struct nshelper - The helper, and sockets at hand
 * @fd:		Socket to it, -1: there is none
 * @ready:	It answered once
 * @late:	It did not answer in time, and since: nobody waits for it
 * @seq:	Of the last request
 * @max:	Sockets of each kind to have at hand, up to NSHELPER_POOL
 * @asked:	More of this kind are on the way
 * @error:	Why the last request for this kind failed, negative errno, else 0
 * @timer:	Armed to ask again, as such an error may pass
 * @wait_ms:	Time that was waited for that, grows up to a second
 * @n:		Sockets at hand
 * @pool:	Unbound, non-blocking, close-on-exec
 * @probe:	Sockets of nshelper_is_local(), IPv4 and IPv6; -1: not made yet
 */
struct nshelper {
	int fd;
	bool ready, late;
	uint32_t seq;
	unsigned max;
	struct loop *loop;
	bool asked[NSSOCK_KINDS];
	int error[NSSOCK_KINDS];
	struct timer timer;
	unsigned wait_ms;
	unsigned n[NSSOCK_KINDS];
	int pool[NSSOCK_KINDS][NSHELPER_POOL];
	int probe[2];
};

_Noreturn void nshelper_run(int fd);

int nshelper_start(struct nshelper *h, int fd, struct loop *l, unsigned fds);
int nshelper_socket(struct nshelper *h, enum nssock kind);
int nshelper_bind(struct nshelper *h, int fd, const union sockaddr_inany *sa);
int nshelper_diag(struct nshelper *h);
bool nshelper_is_local(struct nshelper *h, const union inany *src,
		       const union inany *dst, unsigned scope);
bool nshelper_works(const struct nshelper *h);
bool nshelper_error_passes(int rc);
void nshelper_event(struct nshelper *h);
void nshelper_timer(struct nshelper *h);

#endif /* NSHELPER_H */

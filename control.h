/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * control.h - The control socket: clients, their input and output
 */

#ifndef CONTROL_H
#define CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "jsonline.h"
#include "loop.h"
#include "types.h"

#define CONTROL_CLIENTS		8
#define CONTROL_LINE_MAX	1024	/* bytes of a request, with its newline */
#define CONTROL_IN		4096	/* bytes of input that wait */
#define CONTROL_OUT		16384	/* bytes of output that wait */

/* Result of the functions in struct control_ops: the next step */
enum control_next {
	CONTROL_READ,			/* take the next request, or more bytes */
	CONTROL_MORE,			/* call more() once there is room for output */
	CONTROL_WAIT,			/* call more() after control_kick() */
	CONTROL_LATER,			/* the same request again after control_kick() */
	CONTROL_CLOSE,			/* send the output, then close */
};

/**
 * struct control_client - A connection
 * @slot:	Index of it
 * @gen:	Counts the clients that had this place
 * @fd:		Socket, non-blocking; -1: free
 * @words:	It speaks words; @tables: it speaks tables; none yet: neither
 * @next:	Result of the last function
 * @readable, @writable:	The socket may have input, or room
 * @eof:	Its input has ended; @gone: nobody reads its output, which is dropped
 * @skip:	Skip input up to the next newline
 * @in_at, @in_len:	Input that waits: @in_len bytes from @in_at on
 * @out_at, @out_len:	Output that waits, likewise
 * @in_ms, @out_ms:	Times of the last input and output, ms of the loop
 * @timer:	Ends a client that keeps us waiting
 */
struct control_client {
	unsigned slot;
	uint32_t gen;
	int fd;
	bool words, tables;
	enum control_next next;
	bool readable, writable, eof, gone, skip;
	unsigned in_at, in_len, out_at, out_len;
	uint64_t in_ms, out_ms;
	struct timer timer;
	uint8_t in[CONTROL_IN], out[CONTROL_OUT];
};

/**
 * struct control_ops - The languages
 * @greet:	A client without a name has come
 * @request:	A line without its newline, from a client that speaks words
 * @tables:	Bytes from a client that speaks tables; moves *@data and *@len behind
 *		those that it takes. *@len is 0 at the end of its input
 * @more:	After CONTROL_MORE, with room for a line; after CONTROL_WAIT
 * @closed:	The client is about to leave, maybe in the middle of a request
 *
 * A call takes a fraction of a millisecond.
 */
struct control_ops {
	enum control_next (*greet)(void *ctx, struct control_client *c);
	enum control_next (*request)(void *ctx, struct control_client *c,
				     const char *line);
	enum control_next (*tables)(void *ctx, struct control_client *c,
				    const uint8_t **data, size_t *len);
	enum control_next (*more)(void *ctx, struct control_client *c);
	void (*closed)(void *ctx, struct control_client *c);
};

/**
 * struct control - The socket and its clients
 * @fd:		Listening socket, -1: none
 * @first:	Connection that was inherited, -1: none
 * @timer:	Tries again to accept a connection
 * @ready:	A connection may wait at the socket
 * @work:	Bit N is set if there is something to do for client N
 * @turn:	Client that is first in the next turn
 * @clients:	Number of clients
 */
struct control {
	const struct control_ops *ops;
	void *ctx;
	struct loop *loop;
	int fd, first;
	struct timer timer;
	bool ready;
	unsigned work, turn, clients;
	struct control_client client[CONTROL_CLIENTS];
};

int control_open(struct control *ctl, const struct conf *c, int null_fd);
int control_watch(struct control *ctl, struct loop *l,
		  const struct control_ops *ops, void *ctx);
void control_event(struct control *ctl, union epoll_ref ref, uint32_t events);
void control_timer(struct control *ctl, union epoll_ref ref);
bool control_run(struct control *ctl);
void control_kick(struct control *ctl);
void control_stop(struct control *ctl);
void control_expel(struct control *ctl, struct control_client *c,
		   const char *text);

size_t control_room(const struct control_client *c);
void control_put(struct control_client *c, const void *data, size_t len);
void control_line(struct control_client *c, struct jsonline *j);
bool control_spoke(const struct control_client *c);
enum control_next control_refuse(struct control_client *c, const char *error,
				 const char *text);

#endif /* CONTROL_H */

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Feed a virtqueue any contents of memory: a chain that is taken lies in memory, piece
 * by piece, and all else breaks the queue
 *
 * Input: a byte with the direction and features (RING_*), then the descriptors, the
 * available ring, and indirect tables; the rest of memory is zero.
 */

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "../unit/ring.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RING_TO_GUEST = 1, RING_INDIRECT = 2, RING_EVENT_IDX = 4, RING_FEW = 8 };

#define SIZE	16U
#define TURNS	4

static struct ring r;
static struct iovec iov[2048];

/* Copy the next bytes of the input to @to */
static void fill(const uint8_t **data, size_t *size, void *to, size_t n)
{
	if (n > *size)
		n = *size;
	memcpy(to, *data, n);
	*data += n;
	*size -= n;
}

static void check(const struct vq_chain *c)
{
	const struct guestmem_region *g = r.mem.region;
	size_t all = 0;
	unsigned i, k;

	assert(c->head < SIZE && c->parts);
	for (i = 0; i < c->parts; i++) {
		const uint8_t *p = iov[i].iov_base;
		size_t len = iov[i].iov_len;
		bool inside = false;

		for (k = 0; k < r.mem.n; k++)
			inside |= p >= g[k].map.bytes && len <= g[k].at.size &&
				  p - g[k].map.bytes <= (ptrdiff_t)(g[k].at.size - len);
		assert(len && inside);
		all += len;
	}
	assert(all == c->len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned max = sizeof(iov) / sizeof(iov[0]), turn, n;
	struct vq_chain c;
	int rc = 1;

	if (!size)
		return 0;
	if (!r.bytes && ring_init(&r, SIZE, VQ_FROM_GUEST))
		abort();
	r.q.direction = *data & RING_TO_GUEST ? VQ_TO_GUEST : VQ_FROM_GUEST;
	r.q.indirect = *data & RING_INDIRECT;
	r.q.event_idx = *data & RING_EVENT_IDX;
	if (*data & RING_FEW)
		max = 2;
	data++;
	size--;

	memset(r.bytes, 0, RING_BUFFERS);
	fill(&data, &size, r.desc, SIZE * sizeof(*r.desc));
	fill(&data, &size, r.avail, sizeof(*r.avail) + (SIZE + 1) * sizeof(le16));
	fill(&data, &size, r.bytes + RING_TABLES, RING_BUFFERS - RING_TABLES);
	rc = vq_start(&r.q, &r.at, 0);
	assert(!rc);

	for (turn = 0; turn < TURNS && vq_runs(&r.q); turn++) {
		for (n = 0; n < SIZE && (rc = vq_take(&r.q, &c, iov, max)) > 0; n++) {
			check(&c);
			vq_put(&r.q, c.head, c.len);
		}
		assert(rc > 0 || !rc || rc == -ENOBUFS || rc == -EPROTO);
		assert((rc == -EPROTO) == !vq_runs(&r.q));
		if (rc == -ENOBUFS)
			assert(max == 2);
		vq_publish(&r.q);
		vq_wants_call(&r.q);
		vq_kicks_on(&r.q);
	}
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory of a virtual machine: what may be mapped, and which addresses are translated
 */

#include "guestmem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tap.h"

#define PAGE	65536ULL		/* a multiple of the page size everywhere */
#define SIZE	(4 * PAGE)

static struct guestmem m;
static int fd;

static int add(uint64_t gpa, uint64_t user, uint64_t size, uint64_t offset)
{
	const struct guestmem_range at = { gpa, user, size };

	return guestmem_add(&m, &at, fd, offset);
}

static int drop(uint64_t gpa, uint64_t user, uint64_t size)
{
	const struct guestmem_range at = { gpa, user, size };

	return guestmem_remove(&m, &at);
}

static void put(uint64_t offset, const char *text)
{
	if (pwrite(fd, text, strlen(text), (off_t)offset) < 0)
		ok(false, "the file can be written");
}

static void test_ranges(void)
{
	unsigned i, added = 0;

	is(add(0, 0, 0, 0), -EINVAL, "an empty region is refused");
	is(add(UINT64_MAX - PAGE + 2, 0, PAGE, 0), -EINVAL,
	   "a region that wraps around guest addresses is refused");
	is(add(0, UINT64_MAX - PAGE + 2, PAGE, 0), -EINVAL,
	   "a region that wraps around the front-end's addresses is refused");
	is(add(0, 0, SIZE + 1, 0), -ENXIO, "a region over its file is refused");
	is(add(0, 0, PAGE, SIZE - PAGE + 1), -ENXIO,
	   "a region that ends after its file is refused");
	is(add(0, 0, PAGE, UINT64_MAX - 1), -ENXIO, "an offset after the file is refused");
	is(m.n, 0, "refused regions leave nothing");
	is(guestmem_end(&m), 0, "without regions, memory ends at 0");

	is(add(2 * PAGE, 8 * PAGE, PAGE, 0), 0, "a region is mapped");
	is(add(3 * PAGE - 1, 0, PAGE, 0), -EEXIST,
	   "a region that overlaps in guest addresses is refused");
	is(add(0, 9 * PAGE - 1, PAGE, 0), -EEXIST,
	   "a region that overlaps in the front-end's addresses is refused");
	is(add(3 * PAGE, 9 * PAGE, PAGE, PAGE), 0, "an adjacent region is mapped");
	is(drop(3 * PAGE, 9 * PAGE, PAGE - 1), -ENOENT,
	   "a region of another size is not found");
	is(drop(3 * PAGE, 9 * PAGE, PAGE), 0, "a region is removed");
	is((intptr_t)guestmem_at(&m, 3 * PAGE, 1), 0, "and is not translated any more");
	guestmem_clear(&m);

	for (i = 0; i < GUESTMEM_REGIONS; i++)
		added += !add(i * PAGE, i * PAGE, PAGE, 0);
	is(added, GUESTMEM_REGIONS, "as many regions as promised are mapped");
	is(add(i * PAGE, i * PAGE, PAGE, 0), -ENOSPC, "one more is refused");
	guestmem_clear(&m);
}

static void test_translation(void)
{
	struct iovec iov[4];
	const char *p;

	put(0, "first");
	put(PAGE + 8, "second");
	/* In the opposite order, and at an offset that is no page boundary */
	add(5 * PAGE, 100 * PAGE, PAGE, PAGE + 8);
	add(4 * PAGE, 200 * PAGE, PAGE, 0);

	p = guestmem_at(&m, 4 * PAGE, 5);
	ok(p && !memcmp(p, "first", 5), "a guest address is translated");
	p = guestmem_at(&m, 5 * PAGE, 6);
	ok(p && !memcmp(p, "second", 6), "an offset inside a page is kept");
	p = guestmem_at_user(&m, 100 * PAGE, 6);
	ok(p && !memcmp(p, "second", 6), "an address of the front-end is translated");
	is(guestmem_gpa(&m, (const char *)guestmem_at(&m, 5 * PAGE, 6) + 5), 5 * PAGE + 5,
	   "an address of ours is translated back");
	is(guestmem_gpa(&m, guestmem_at(&m, 4 * PAGE, 1)), 4 * PAGE,
	   "so is the first one of a region");
	is(guestmem_gpa(&m, &m), (long)UINT64_MAX, "one that is not the guest's has none");
	is(guestmem_end(&m), 6 * PAGE, "the last region is where memory ends");
	ok(!guestmem_at(&m, 4 * PAGE - 1, 1), "the byte before is in no region");
	ok(!guestmem_at(&m, 6 * PAGE, 1), "nor is the byte after");
	ok(guestmem_at(&m, 6 * PAGE - 1, 1), "the last byte is");
	ok(!guestmem_at(&m, 6 * PAGE - 1, 2), "a range over the end is not translated");
	ok(!guestmem_at(&m, 4 * PAGE, PAGE + 1),
	   "nor one over two regions, in one piece");
	ok(!guestmem_at(&m, 4 * PAGE, UINT64_MAX), "nor a huge one");
	ok(!guestmem_at_user(&m, 200 * PAGE, UINT64_MAX),
	   "nor a huge one of the front-end");

	is(guestmem_parts(&m, 5 * PAGE - 5, 11, iov, 4), 2,
	   "a range over two regions has two pieces");
	is(iov[0].iov_len, 5, "the first piece ends with its region");
	ok(iov[1].iov_len == 6 && !memcmp(iov[1].iov_base, "second", 6),
	   "the second piece is at the start of the next region");
	is(guestmem_parts(&m, 5 * PAGE - 5, 11, iov, 1), 0,
	   "two pieces don't fit into one");
	is(guestmem_parts(&m, 6 * PAGE - 5, 6, iov, 4), 0,
	   "a range that leaves memory has none");
	is(guestmem_parts(&m, UINT64_MAX, 1, iov, 4), 0, "nor has the last address");
	guestmem_clear(&m);
}

/* The end of a region may be inside of a huge page. None is used here, so that the system
 * need not have any */
static void test_huge_pages(void)
{
	int small = fd;
	unsigned char there[PAGE / 4096];
	uint8_t *at;

	fd = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB);
	if (fd < 0 || ftruncate(fd, 64 << 20) || add(0, 0, 3 * PAGE, PAGE)) {
		ok(true, "memory of huge pages # SKIP the kernel gives none");
	} else {
		at = guestmem_at(&m, 0, PAGE);
		ok(at && !mincore(at, PAGE, there), "a part of huge pages is mapped");
		guestmem_clear(&m);
		ok(mincore(at, 1, there) && errno == ENOMEM,
		   "a part of huge pages is unmapped");
	}
	if (fd >= 0)
		close(fd);
	fd = small;
}

int main(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	fd = memfd_create("guest", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, SIZE))
		return 1;
	test_ranges();
	test_translation();
	test_huge_pages();
	close(fd);
	fd = null;
	ok(add(0, 0, PAGE, 0) < 0, "a device without a size is refused");
	is(m.n, 0, "no region is left");
	close(null);
	return done();
}

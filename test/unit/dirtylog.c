/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The log of dirty pages: which bits a range sets, which files are a log, and that no bit
 * is lost while others set and fetch bits
 */

#include "dirtylog.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tap.h"

#define PAGE	((uint64_t)DIRTYLOG_PAGE)
#define BYTES	64U			/* of a log */
#define PAGES	(8U * BYTES)
#define FILESIZE	65536U

static struct dirtylog l;
static uint8_t *file;			/* the log as the front-end sees it */
static int fd;

static int open_log(uint64_t offset, uint64_t size, uint64_t end)
{
	return dirtylog_open(&l, fd, offset, size, end);
}

/* Are the bits of pages @from up to @to set, and no others? */
static bool only(unsigned from, unsigned to)
{
	bool right = true;
	unsigned i;

	for (i = 0; i < PAGES; i++)
		right &= (file[i / 8] >> i % 8 & 1) == (i >= from && i < to);
	return right;
}

/* Mark a range in an empty log: are the bits of these pages set then? */
static bool marks(uint64_t gpa, uint64_t len, unsigned from, unsigned to)
{
	memset(file, 0, FILESIZE);
	dirtylog_mark(&l, gpa, len);
	return only(from, to) && !file[BYTES];
}

static void test_open(void)
{
	int event = eventfd(0, EFD_CLOEXEC), null = open("/dev/null", O_RDWR),
	    pipes[2], ro = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	if (pipe(pipes))
		exit(1);
	is(open_log(0, 0, 0), -EINVAL, "an empty log is refused");
	is(open_log(0, FILESIZE + 1, 0), -ENXIO, "a log over its file is refused");
	is(open_log(FILESIZE - 1, 2, 0), -ENXIO, "a log that ends after its file is refused");
	is(open_log(UINT64_MAX, 2, 0), -ENXIO, "a log whose end wraps is refused");
	is(open_log(0, UINT64_MAX, 0), -ENXIO, "a log of 2^64 - 1 bytes is refused");
	is(open_log(0, 1, 8 * PAGE + 1), -ERANGE, "a log smaller than memory is refused");
	is(open_log(0, 1, UINT64_MAX), -ERANGE, "a log smaller than huge memory is refused");
	is(dirtylog_open(&l, event, 0, 8, 0), -ENXIO, "an eventfd is no log");
	is(dirtylog_open(&l, null, 0, 8, 0), -ENXIO, "a device is no log");
	is(dirtylog_open(&l, pipes[0], 0, 8, 0), -ENXIO, "a pipe is no log");
	is(dirtylog_open(&l, ro, 0, 8, 0), -EACCES, "a file that can't be written is no log");
	is(dirtylog_open(&l, -1, 0, 8, 0), -EBADF, "no descriptor is no log");
	ok(!dirtylog_exists(&l), "what was refused is not used");
	dirtylog_mark(&l, 0, PAGE);
	ok(!dirtylog_exists(&l), "without a log, a write is not logged");
	is(open_log(0, 1, 8 * PAGE), 0, "a log just large enough is used");
	dirtylog_close(&l);
	ok(!dirtylog_exists(&l), "and forgotten");
	close(event);
	close(null);
	close(ro);
	close(pipes[0]);
	close(pipes[1]);
}

static void test_ranges(void)
{
	open_log(0, BYTES, 0);
	ok(marks(0, 1, 0, 1), "the first byte is in the first page");
	ok(marks(PAGE - 1, 1, 0, 1), "so is the last byte of that page");
	ok(marks(PAGE, 1, 1, 2), "the next byte is in the second page");
	ok(marks(PAGE - 1, 2, 0, 2), "two bytes may be in two pages");
	ok(marks(5 * PAGE, PAGE, 5, 6), "a whole page is one page");
	ok(marks(5 * PAGE + 1, PAGE, 5, 7), "as many bytes from the middle of one are two");
	ok(marks(6 * PAGE, 40 * PAGE, 6, 46), "a range may cross bytes of the log");
	ok(marks(7 * PAGE, 0, 0, 0), "an empty range has no page");
	ok(marks((PAGES - 1) * PAGE, PAGE, PAGES - 1, PAGES), "the last page has a bit");
	ok(marks((PAGES - 1) * PAGE, PAGE + 1, PAGES - 1, PAGES),
	   "a range over the end is logged up to there");
	ok(marks(PAGES * PAGE, 1, 0, 0), "an address over the end is ignored");
	ok(marks(UINT64_MAX - 1, 100, 0, 0), "so is one that wraps");
	ok(marks((PAGES - 2) * PAGE, UINT64_MAX, PAGES - 2, PAGES),
	   "a huge range is logged up to the end");
	dirtylog_mark(&l, 0, PAGE);
	ok(file[0] == 1 && file[BYTES - 1] == 0xc0, "bits that were set stay");
	dirtylog_close(&l);

	memset(file, 0, FILESIZE);
	open_log(4099, 2, 0);
	dirtylog_mark(&l, 0, 16 * PAGE);
	ok(file[4099] == 0xff && file[4100] == 0xff && !file[4098] && !file[4101],
	   "a log may begin at any byte of its file");
	dirtylog_close(&l);
}

static void test_carry(void)
{
	struct dirtylog old;

	memset(file, 0, FILESIZE);
	dirtylog_open(&old, fd, 4096, 4, 0);
	open_log(0, BYTES, 0);
	dirtylog_mark(&old, 9 * PAGE, 2 * PAGE);
	dirtylog_mark(&old, 0, PAGE);
	dirtylog_carry(&l, &old, 8 * PAGE, 8 * PAGE);
	ok(only(9, 11), "bits of a range are carried over from another log");
	dirtylog_carry(&l, &old, 8 * PAGE, 500 * PAGE);
	ok(only(9, 11), "that log may be shorter");
	dirtylog_close(&old);
	dirtylog_carry(&l, &old, 0, 500 * PAGE);
	ok(only(9, 11), "or not exist");
	dirtylog_close(&l);
}

/* Mark each second page from *@arg on, as another process may do with the rest */
static void *mark_half(void *arg)
{
	const unsigned *first = arg;
	unsigned i;

	for (i = *first; i < 8 * FILESIZE; i += 2)
		dirtylog_mark(&l, i * PAGE, 1);
	return NULL;
}

/* Fetch and clear all bits; @got has those that were set so far */
static void fetch(uint8_t *got)
{
	unsigned i;

	for (i = 0; i < FILESIZE; i++)
		got[i] |= __atomic_exchange_n(&file[i], 0, __ATOMIC_ACQUIRE);
}

static void test_race(void)
{
	static uint8_t got[FILESIZE], all[FILESIZE];
	unsigned first[2] = { 0, 1 }, round, lost = 0, i;
	pthread_t t[2];

	memset(all, 0xff, FILESIZE);
	open_log(0, FILESIZE, 0);
	for (round = 0; round < 40; round++) {
		memset(file, 0, FILESIZE);
		memset(got, 0, FILESIZE);
		for (i = 0; i < 2; i++)
			if (pthread_create(&t[i], NULL, mark_half, &first[i]))
				exit(1);
		for (i = 0; i < 20; i++)
			fetch(got);
		for (i = 0; i < 2; i++)
			pthread_join(t[i], NULL);
		fetch(got);
		lost += memcmp(got, all, FILESIZE) != 0;
	}
	is(lost, 0, "no bit is lost while others set and fetch bits");
	dirtylog_close(&l);
}

int main(void)
{
	fd = memfd_create("log", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, FILESIZE))
		return 1;
	file = mmap(NULL, FILESIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (file == MAP_FAILED)
		return 1;
	test_open();
	test_ranges();
	test_carry();
	test_race();
	close(fd);
	return done();
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * util.c - Small helpers without state that belong to no module
 *
 * No function here allocates, logs or keeps data between calls, so all of them
 * may be used at any time, also behind the seccomp filter.
 */

#include "util.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define NOFILE_DEFAULT	1024U		/* if the limit is unknown */

/**
 * util_is_decimal() - Does a string consist of one or more decimal digits?
 * @s:		String
 */
bool util_is_decimal(const char *s)
{
	return *s && !s[strspn(s, "0123456789")];
}

/**
 * util_is_ifname() - May an interface have this name?
 * @s:		Name, without "%": TUNSETIFF takes that as a pattern
 *
 * The kernel accepts any byte but "/", ":" and blanks, with the one of ISO
 * 8859-1; we also refuse control characters.
 */
bool util_is_ifname(const char *s)
{
	if (!*s || strlen(s) >= IFNAMSIZ || !strcmp(s, ".") || !strcmp(s, ".."))
		return false;
	for (; *s; s++)
		if ((unsigned char)*s <= ' ' || strchr("/:%\x7f\xa0", *s))
			return false;
	return true;
}

/**
 * util_parse_ulong() - Strictly parse a decimal number
 * @s:		Digits alone: no sign, no blank, no prefix, nothing after them
 * @min:	Smallest value accepted
 * @max:	Largest value accepted
 * @out:	The number, untouched on failure
 *
 * Return: 0, -EINVAL if it is no number, -ERANGE if it is out of bounds
 */
int util_parse_ulong(const char *s, unsigned long min, unsigned long max,
		     unsigned long *out)
{
	unsigned long v = 0;

	if (!util_is_decimal(s))
		return -EINVAL;
	for (; *s; s++) {
		unsigned digit = *s - '0';

		if (v > (ULONG_MAX - digit) / 10)
			return -ERANGE;
		v = v * 10 + digit;
	}
	if (v < min || v > max)
		return -ERANGE;
	*out = v;
	return 0;
}

/**
 * util_strcpy() - Copy a string if it fits
 * @dst:	Destination, untouched on failure
 * @size:	Bytes of @dst, including the final NUL
 * @src:	String
 *
 * Return: 0 or -ENAMETOOLONG
 */
int util_strcpy(char *dst, size_t size, const char *src)
{
	size_t len = strlen(src);

	if (len >= size)
		return -ENAMETOOLONG;
	memcpy(dst, src, len + 1);
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/**
 * util_one_line() - Replace control characters, so that a message is one line
 * @s:		Message that quotes foreign text, changed in place
 */
void util_one_line(char *s)
{
	for (; *s; s++)
		if (iscntrl((unsigned char)*s))
			*s = '?';
}

/**
 * util_mac_pton() - Parse an Ethernet address
 * @s:		Six pairs of hexadecimal digits, colons between them
 * @mac:	The bytes in order of transmission, partly set on failure
 *
 * Return: 0 or -EINVAL
 */
int util_mac_pton(const char *s, uint8_t mac[6])
{
	for (int i = 0; i < 6; i++, s += 3) {
		int high = hex_digit(s[0]);
		int low = high < 0 ? -1 : hex_digit(s[1]);

		if (low < 0 || s[2] != (i < 5 ? ':' : '\0'))
			return -EINVAL;
		mac[i] = high << 4 | low;
	}
	return 0;
}

/**
 * util_mac_ntop() - Write an Ethernet address as text
 * @mac:	Bytes in order of transmission
 * @buf:	Set to the text
 *
 * Return: @buf
 */
const char *util_mac_ntop(const uint8_t mac[6], char buf[UTIL_MAC_STRLEN])
{
	snprintf(buf, UTIL_MAC_STRLEN, "%02x:%02x:%02x:%02x:%02x:%02x",
		 mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
	return buf;
}

/* The usual wording: users search for it, and some callers match it */
static const char *const errors[] = {
	[0] = "Success",
	[EPERM] = "Operation not permitted",
	[ENOENT] = "No such file or directory",
	[ESRCH] = "No such process",
	[EINTR] = "Interrupted system call",
	[EIO] = "Input/output error",
	[ENXIO] = "No such device or address",
	[E2BIG] = "Argument list too long",
	[ENOEXEC] = "Exec format error",
	[EBADF] = "Bad file descriptor",
	[ECHILD] = "No child processes",
	[EAGAIN] = "Resource temporarily unavailable",
	[ENOMEM] = "Cannot allocate memory",
	[EACCES] = "Permission denied",
	[EFAULT] = "Bad address",
	[EBUSY] = "Device or resource busy",
	[EEXIST] = "File exists",
	[EXDEV] = "Invalid cross-device link",
	[ENODEV] = "No such device",
	[ENOTDIR] = "Not a directory",
	[EISDIR] = "Is a directory",
	[EINVAL] = "Invalid argument",
	[ENFILE] = "Too many open files in system",
	[EMFILE] = "Too many open files",
	[ENOTTY] = "Inappropriate ioctl for device",
	[ETXTBSY] = "Text file busy",
	[EFBIG] = "File too large",
	[ENOSPC] = "No space left on device",
	[ESPIPE] = "Illegal seek",
	[EROFS] = "Read-only file system",
	[EMLINK] = "Too many links",
	[EPIPE] = "Broken pipe",
	[ERANGE] = "Numerical result out of range",
	[ENAMETOOLONG] = "File name too long",
	[ENOSYS] = "Function not implemented",
	[ELOOP] = "Too many levels of symbolic links",
	[ENODATA] = "No data available",
	[EPROTO] = "Protocol error",
	[EBADMSG] = "Bad message",
	[EOVERFLOW] = "Value too large for defined data type",
	[EBADFD] = "File descriptor in bad state",
	[EUSERS] = "Too many users",
	[ENOTSOCK] = "Socket operation on non-socket",
	[EDESTADDRREQ] = "Destination address required",
	[EMSGSIZE] = "Message too long",
	[EPROTOTYPE] = "Protocol wrong type for socket",
	[ENOPROTOOPT] = "Protocol not available",
	[EPROTONOSUPPORT] = "Protocol not supported",
	[ESOCKTNOSUPPORT] = "Socket type not supported",
	[EOPNOTSUPP] = "Operation not supported",
	[EAFNOSUPPORT] = "Address family not supported by protocol",
	[EADDRINUSE] = "Address already in use",
	[EADDRNOTAVAIL] = "Cannot assign requested address",
	[ENETDOWN] = "Network is down",
	[ENETUNREACH] = "Network is unreachable",
	[ENETRESET] = "Network dropped connection on reset",
	[ECONNABORTED] = "Software caused connection abort",
	[ECONNRESET] = "Connection reset by peer",
	[ENOBUFS] = "No buffer space available",
	[ETOOMANYREFS] = "Too many references: cannot splice",
	[EISCONN] = "Transport endpoint is already connected",
	[ENOTCONN] = "Transport endpoint is not connected",
	[ETIMEDOUT] = "Connection timed out",
	[ECONNREFUSED] = "Connection refused",
	[EHOSTDOWN] = "Host is down",
	[EHOSTUNREACH] = "No route to host",
	[EALREADY] = "Operation already in progress",
	[EINPROGRESS] = "Operation now in progress",
	[ESTALE] = "Stale file handle",
	[EDQUOT] = "Disk quota exceeded",
	[ECANCELED] = "Operation canceled",
};

/**
 * util_strerror() - Describe an error number
 * @errnum:	Error code as in errno, or negative
 * @buf:	Used for codes that have no text here
 *
 * strerror() of the C library may load translations and allocate memory, which
 * is impossible in the sandbox.
 *
 * Return: a constant, or @buf
 */
const char *util_strerror(int errnum, char buf[UTIL_ERROR_STRLEN])
{
	size_t n = errnum < 0 ? -(size_t)errnum : (size_t)errnum;

	if (n < ARRAY_SIZE(errors) && errors[n])
		return errors[n];
	snprintf(buf, UTIL_ERROR_STRLEN, "error %zu", n);
	return buf;
}

/**
 * util_write_all() - Write all of a buffer
 * @fd:		A file or a blocking descriptor
 * @buf:	Data
 * @len:	Bytes
 *
 * Return: 0 or negative errno, some of the data may then have been written
 */
/* #syscalls write */
int util_write_all(int fd, const void *buf, size_t len)
{
	const char *p = buf;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= n;
	}
	return 0;
}

/**
 * util_random() - Get unpredictable bytes from the kernel
 * @buf:	Set
 * @len:	Bytes, up to 256: the kernel returns all of them, see getrandom(2)
 *
 * Return: 0 or negative errno
 */
int util_random(void *buf, size_t len)
{
	ssize_t n;

	assert(len <= 256);
	do
		n = getrandom(buf, len, 0);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/**
 * util_ifindex() - Index of an interface of the host by its name
 *
 * if_nametoindex() makes a UNIX socket in some C libraries, which the filter of system
 * calls refuses.
 *
 * Return: index, or negative errno: -ENODEV if there is none
 */
/* #syscalls socket ioctl close */
/* #args socket 0 AF_INET AF_INET6 */
/* #args ioctl 1 SIOCGIFINDEX */
int util_ifindex(const char *name)
{
	struct ifreq ifr = { 0 };
	int fd, rc;

	if (!*name || util_strcpy(ifr.ifr_name, sizeof(ifr.ifr_name), name))
		return -ENODEV;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	rc = ioctl(fd, SIOCGIFINDEX, &ifr) ? -errno : ifr.ifr_ifindex;
	close(fd);
	return rc;
}

/**
 * util_named_fd() - Does a path name a descriptor of this process?
 * @path:	Path as the user wrote it
 *
 * Return: number of the descriptor, -1 for any other path
 */
int util_named_fd(const char *path)
{
	static const struct {
		const char *name;
		int fd;
	} std[] = { { "/dev/stdin", STDIN_FILENO },
		    { "/dev/stdout", STDOUT_FILENO },
		    { "/dev/stderr", STDERR_FILENO } };
	static const char *const dirs[] = { "/dev/fd/", "/proc/self/fd/",
					    "/proc/thread-self/fd/" };
	unsigned long n;
	size_t i, len;

	for (i = 0; i < ARRAY_SIZE(std); i++)
		if (!strcmp(path, std[i].name))
			return std[i].fd;
	for (i = 0; i < ARRAY_SIZE(dirs); i++) {
		len = strlen(dirs[i]);
		if (!strncmp(path, dirs[i], len) &&
		    !util_parse_ulong(path + len, 0, INT_MAX, &n))
			return (int)n;
	}
	return -1;
}

/**
 * util_open() - Open a file that the user named
 * @path:	Path, as the caller of the program sees it
 * @flags:	Flags of open(); a file that is created gets mode 0600. With O_RDWR
 *		the descriptor may turn out to be for writing alone
 *
 * A path like /dev/fd/N opens the file of that descriptor once more. That fails
 * for a socket, without permission for the file, and without /proc: then
 * duplicate the descriptor. To be called before inherited descriptors are
 * closed.
 *
 * Return: descriptor above 2, closed on exec; negative errno
 */
int util_open(const char *path, int flags)
{
	int named = util_named_fd(path), want = flags & O_ACCMODE, fd, rc, have;

	/* The caller did not hand over this one: it is ours */
	if (named > STDERR_FILENO && fcntl(named, F_GETFD) & FD_CLOEXEC)
		return -EBADF;
	fd = open(path, flags | O_CLOEXEC, 0600);
	if (fd >= 0)
		return fd;
	rc = -errno;
	have = named < 0 ? -1 : fcntl(named, F_GETFL);
	if (have < 0)
		return rc;
	have &= O_ACCMODE;
	if (have != O_RDWR && have != want &&
	    (have != O_WRONLY || want != O_RDWR))
		return rc;
	fd = fcntl(named, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (fd < 0)
		return rc;
	if (flags & O_TRUNC && !ftruncate(fd, 0))
		lseek(fd, 0, SEEK_SET);
	return fd;
}

/**
 * util_pidfile_write() - Write the PID file and close it
 * @fd:		The file, empty
 * @pid:	Process, in the PID namespace of the caller of the program
 *
 * Return: 0 or negative errno, @fd is closed anyway
 */
/* #syscalls close */
int util_pidfile_write(int fd, pid_t pid)
{
	char line[24];
	int n = snprintf(line, sizeof(line), "%d\n", (int)pid);
	int ret = util_write_all(fd, line, n);

	if (close(fd) < 0 && !ret)
		ret = -errno;
	return ret;
}

/**
 * util_raise_nofile() - Raise the limit of open files to the hard one
 *
 * The soft limit, 1024 as a rule, is for programs that use select(2).
 *
 * Return: the limit that holds now
 */
unsigned util_raise_nofile(void)
{
	struct rlimit rl;
	rlim_t soft;

	if (getrlimit(RLIMIT_NOFILE, &rl))
		return NOFILE_DEFAULT;
	soft = rl.rlim_cur;
	rl.rlim_cur = rl.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &rl))
		rl.rlim_cur = soft;
	return rl.rlim_cur < INT32_MAX ? (unsigned)rl.rlim_cur : INT32_MAX;
}

/**
 * util_fds_used() - Count the open descriptors, assuming that there are no gaps
 * @any:	One of them
 *
 * Return: the lowest number that is free; UINT_MAX if there is none
 */
/* #syscalls fcntl fcntl64 close */
/* #args fcntl 1 F_DUPFD_CLOEXEC */
unsigned util_fds_used(int any)
{
	int fd = fcntl(any, F_DUPFD_CLOEXEC, 0);

	if (fd < 0)
		return UINT_MAX;
	close(fd);
	return (unsigned)fd;
}

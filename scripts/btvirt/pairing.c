/*
 * Corrects BlueZ's emulator, btvirt, which this is preloaded into, in one thing:
 * the second pairing of a controller.
 *
 * A controller that is paired with asks its host for the capabilities that it
 * answers with (IO Capability Request, Bluetooth Core, volume 4, part E, section
 * 7.7.40). btvirt (5.82, emulator/btdev.c) leaves that out when it has ever
 * asked before, and goes on to the confirmation. Linux counts the request as a
 * user of the link and the end of the pairing as the end of that use, so its
 * count is one short from then on: the link is taken for idle, and ended some
 * seconds later under whatever uses it.
 *
 * So a confirmation is handed on to a host that was asked and told. To one that
 * was not asked it becomes the request, upon whose answer btvirt asks both for
 * confirmation again; for one that was not told it is too early, and dropped.
 *
 *	cc -shared -fPIC -O2 -o pairing.so pairing.c; LD_PRELOAD=./pairing.so btvirt -l2
 */
#define _GNU_SOURCE
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
	H4_EVENT = 0x04,
	CONNECTION_COMPLETE = 0x03,
	IO_CAPABILITY_REQUEST = 0x31,
	IO_CAPABILITY_RESPONSE = 0x32,
	USER_CONFIRMATION_REQUEST = 0x33,
	SIMPLE_PAIRING_COMPLETE = 0x36,

	MAX_EVENT = 3 + 255, /* type, event, length, parameters */
	MAX_PAIRINGS = 256,
};

/* A pairing under way, as the host behind a descriptor sees it. */
struct pairing {
	int fd;
	unsigned char peer[6];
	bool used, asked, told;
};

static struct pairing pairings[MAX_PAIRINGS];

/* The pairing of that host with that peer; the last place where all are taken. */
static struct pairing *pairing_of(int fd, const unsigned char *peer)
{
	struct pairing *p, *empty = NULL;

	for (p = pairings; p < pairings + MAX_PAIRINGS; p++) {
		if (p->used && p->fd == fd && memcmp(p->peer, peer, 6) == 0)
			return p;
		if (!p->used && !empty)
			empty = p;
	}
	p = empty ? empty : &pairings[MAX_PAIRINGS - 1];
	memset(p, 0, sizeof(*p));
	p->fd = fd;
	p->used = true;
	memcpy(p->peer, peer, 6);
	return p;
}

/* What becomes of a whole event: its new length, 0 for nothing. */
static size_t correct(int fd, unsigned char *event, size_t len)
{
	struct pairing *p;

	switch (event[1]) {
	case CONNECTION_COMPLETE: /* status, handle, address */
		if (len >= 12)
			pairing_of(fd, event + 6)->used = false;
		return len;
	case SIMPLE_PAIRING_COMPLETE: /* status, address */
		if (len >= 10)
			pairing_of(fd, event + 4)->used = false;
		return len;
	case IO_CAPABILITY_REQUEST:
	case IO_CAPABILITY_RESPONSE:
	case USER_CONFIRMATION_REQUEST: /* address first */
		break;
	default:
		return len;
	}
	if (len < 9)
		return len;
	p = pairing_of(fd, event + 3);
	p->asked |= event[1] == IO_CAPABILITY_REQUEST;
	p->told |= event[1] == IO_CAPABILITY_RESPONSE;
	if (event[1] != USER_CONFIRMATION_REQUEST || (p->asked && p->told))
		return len;
	if (!p->told)
		return 0;
	p->asked = true;
	event[1] = IO_CAPABILITY_REQUEST;
	event[2] = 6;
	return 9;
}

/* btvirt hands each packet to a host with one writev. */
ssize_t writev(int fd, const struct iovec *iov, int count)
{
	unsigned char event[MAX_EVENT];
	size_t len = 0, left;
	ssize_t written;
	int i;

	for (i = 0; i < count; i++) {
		if (iov[i].iov_len > MAX_EVENT - len)
			return syscall(SYS_writev, fd, iov, count);
		memcpy(event + len, iov[i].iov_base, iov[i].iov_len);
		len += iov[i].iov_len;
	}
	if (len < 3 || event[0] != H4_EVENT)
		return syscall(SYS_writev, fd, iov, count);
	left = correct(fd, event, len);
	written = left ? syscall(SYS_write, fd, event, left) : 0;
	return written < 0 ? written : (ssize_t)len;
}

/* A wall clock that can be stepped, for the processes that load this (ld.so(8)); the machine's own is left alone.
 *
 * STEP_FILE holds two numbers of 64 bits, in nanoseconds: `at`, a moment of the machine's clock, and `by`. From `at` on
 * the clock is ahead by `by`, and so are the time stamps that the kernel puts beside packets (SO_TIMESTAMPING). Each
 * moment has one reading, so that a packet that came before the step is stamped as it would have been.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile const int64_t *step;

__attribute__((constructor)) static void map(void)
{
	int file = open(STEP_FILE, O_RDONLY | O_CLOEXEC);
	void *there = file < 0 ? MAP_FAILED : mmap(0, 16, PROT_READ, MAP_SHARED, file, 0);

	if (there != MAP_FAILED)
		step = there;
	if (file >= 0)
		close(file);
}

static void shift(struct timespec *time)
{
	int64_t now = time->tv_sec * 1000000000LL + time->tv_nsec;

	if (!step || !step[0] || now < step[0])
		return;
	now += step[1];
	time->tv_sec = now / 1000000000LL;
	time->tv_nsec = now % 1000000000LL;
}

int clock_gettime(clockid_t which, struct timespec *time)
{
	static int (*real)(clockid_t, struct timespec *);
	int result;

	if (!real)
		real = dlsym(RTLD_NEXT, "clock_gettime");
	result = real(which, time);
	if (!result && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE))
		shift(time);
	return result;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone)
{
	struct timespec now;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &now);
	time->tv_sec = now.tv_sec;
	time->tv_usec = now.tv_nsec / 1000;
	return 0;
}

time_t time(time_t *where)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (where)
		*where = now.tv_sec;
	return now.tv_sec;
}

static void restamp(struct msghdr *message)
{
	struct cmsghdr *each;

	for (each = CMSG_FIRSTHDR(message); each; each = CMSG_NXTHDR(message, each))
		if (each->cmsg_level == SOL_SOCKET && each->cmsg_type == SO_TIMESTAMPING) {
			struct timespec *stamp = (struct timespec *)CMSG_DATA(each);

			if (stamp->tv_sec)
				shift(stamp);
		}
}

int recvmmsg(int file, struct mmsghdr *messages, unsigned int most, int flags, struct timespec *patience)
{
	int count = syscall(SYS_recvmmsg, file, messages, most, flags, patience);

	for (int at = 0; at < count; at++)
		restamp(&messages[at].msg_hdr);
	return count;
}

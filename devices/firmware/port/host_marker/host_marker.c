/* One write() a line, so that who reads the file finds whole lines. The descriptor outlives a reset, as a wire does. */
#define _GNU_SOURCE
#include "port/host_marker/host_marker.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define MARKER_DESCRIPTOR 102
#define LINE_BYTES 64

static bool is_wired(void)
{
    const char *path = getenv("EDGEPIPE_MARKER");
    if (fcntl(MARKER_DESCRIPTOR, F_GETFD) < 0 && path != NULL) {
        const int file = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
        (void)dup2(file, MARKER_DESCRIPTOR);
        (void)close(file);
    }
    return fcntl(MARKER_DESCRIPTOR, F_GETFD) >= 0;
}

void host_marker_show(bool up)
{
    char line[LINE_BYTES];
    struct timespec now;
    if (is_wired()) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        const int length = snprintf(line, sizeof line, "%lld%09ld %d\n", (long long)now.tv_sec, now.tv_nsec, up);
        (void)!write(MARKER_DESCRIPTOR, line, (size_t)length);
    }
}

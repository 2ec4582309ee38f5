/* A marker pin for the host: whoever holds the file is the wire's other end. */
#ifndef EDGEPIPE_HOST_MARKER_H
#define EDGEPIPE_HOST_MARKER_H

#include <stdbool.h>

/* Add a line to the file that EDGEPIPE_MARKER names, where it does: nanoseconds of CLOCK_MONOTONIC, and 1 for up, 0 for down. */
void host_marker_show(bool up);

#endif

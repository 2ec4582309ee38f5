/* Flash for the host: a file, which outlives the process as flash does a loss of power. */
#ifndef EDGEPIPE_HOST_FLASH_H
#define EDGEPIPE_HOST_FLASH_H

#include <stdbool.h>

/* Have the flash in the file that EDGEPIPE_FLASH names, or in memory that lasts as long as the process and its resets. */
void host_flash_begin(bool is_first);

#endif

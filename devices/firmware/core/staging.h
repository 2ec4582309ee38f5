/* The upload goes into the slot that does not run, a small step at a time, so that no request takes long. */
#ifndef EDGEPIPE_STAGING_H
#define EDGEPIPE_STAGING_H

#include <stdint.h>

#include "core/slots.h"

/* How far it is. */
struct staging_progress {
    uint32_t done, total; /* bytes erased and written; equal when the slot is whole */
    uint32_t sequence;    /* of the model in the slot, once it is whole */
};

enum staging_result { STAGING_OK, STAGING_NO_FLASH, STAGING_FAILED, STAGING_ON_TRIAL, STAGING_TOO_LARGE, STAGING_NO_UPLOAD };

/* Do the next step of staging the upload as `version`, 0 for none; begins anew where that is another than was under way. */
enum staging_result staging_step(uint64_t version, struct staging_progress *progress);

#endif

/* The model buffer: a file arrives in pieces, goes on where it stopped, even over a reset, and counts only with the right hash. */
#ifndef EDGEPIPE_UPLOAD_H
#define EDGEPIPE_UPLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "core/model.h"
#include "core/sha256.h"

#define UPLOAD_NAME_BYTES 32u

/* How a model's outputs are told as text. */
enum upload_scores {
    UPLOAD_SCORES_VALUES = 0, /* every output value, dequantised */
    UPLOAD_SCORES_ERROR = 1,  /* one number: the mean squared difference of output and input */
    UPLOAD_SCORES_COUNT,
};

/* What the host says of a file before it sends it. */
struct upload_order {
    uint8_t sha256[SHA256_BYTES];
    uint32_t total_bytes;
    uint8_t scores;
    char name[UPLOAD_NAME_BYTES]; /* the model's name in MLPerf Tiny; ends with a zero */
};

enum upload_result { UPLOAD_OK, UPLOAD_TOO_LARGE, UPLOAD_NONE, UPLOAD_INCOMPLETE, UPLOAD_DIFFERENT };

/* Forget what the memory holds unless it is the beginning of something that was kept whole. */
void upload_start(void);

/* Begin a file, or go on with it where it is the one that was begun last. */
enum upload_result upload_begin(const struct upload_order *order);

/* Take the piece that starts at `offset`; one that does not follow what is there is dropped. */
enum upload_result upload_take(uint32_t offset, const uint8_t *bytes, uint32_t count);

/* Say whether the whole file is there with the announced hash; one with another is forgotten. */
enum upload_result upload_check(void);

/* Forget it all. */
void upload_forget(void);

/* Bytes that are there without a gap; what the host sends next. */
uint32_t upload_offset(void);

/* The order that is under way, or NULL. */
const struct upload_order *upload_current(void);

/* The model buffer as what a model is loaded from; an order must be under way. */
struct model_source upload_source(void);

#endif

/* A walk through a tensor that is not stored in the order wanted: nested loops over up to six axes, each with its own step. */
#ifndef ENGINE_WALK_H
#define ENGINE_WALK_H

#include "kernel.h"

/* Element (i, j, ...) of the walk is at start + i * steps[0] + j * steps[1] + ...; sizes beyond the tensor's rank are 1. */
typedef struct {
    int32_t start;
    int32_t sizes[LARGEST_RANK];
    int32_t steps[LARGEST_RANK];
} walk;

/* Where a walk is: `at` is the element's place. */
typedef struct {
    int32_t at;
    int32_t index[LARGEST_RANK];
} walker;

#ifndef ENGINE_STANDALONE
/* The walk through a tensor as it is stored, its shape aligned to the right end of six axes. Steps count elements. */
walk walk_through(const tensor *of);

/* The walk through `of` that repeats it over the shape of `over`: steps of 0 along axes of size 1. False where shapes do not fit. */
bool walk_repeated(const tensor *of, const tensor *over, walk *found);
#endif

walker walk_start(const walk *along);

/* Move to the next element; the last axis is the fastest. Past the end it begins again. */
void walk_next(const walk *along, walker *now);

/* Copy elements of 1, 2, 4 or 8 bytes: from the walk's places to the order of the walk, or the other way round. */
void walk_gather(const walk *along, const uint8_t *from, uint8_t *to, uint32_t element_bytes);
void walk_scatter(const walk *along, const uint8_t *from, uint8_t *to, uint32_t element_bytes);

static inline int32_t walk_count(const walk *along) {
    int32_t count = 1;
    for (uint32_t axis = 0; axis < LARGEST_RANK; axis++) count *= along->sizes[axis];
    return count;
}

#endif

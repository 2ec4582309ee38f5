/* Nested loops over six axes, without recursion. */
#include "walk.h"

#include <string.h>

#ifndef ENGINE_STANDALONE
walk walk_through(const tensor *of) {
    walk found;
    int32_t step = 1;
    found.start = 0;
    for (uint32_t axis = LARGEST_RANK; axis-- > 0;) {
        uint32_t skipped = LARGEST_RANK - of->rank;
        found.sizes[axis] = axis >= skipped ? of->dims[axis - skipped] : 1;
        found.steps[axis] = step;
        step *= found.sizes[axis];
    }
    return found;
}

bool walk_repeated(const tensor *of, const tensor *over, walk *found) {
    walk whole = walk_through(over);
    *found = walk_through(of);
    for (uint32_t axis = 0; axis < LARGEST_RANK; axis++) {
        bool repeats = found->sizes[axis] == 1;
        if (!repeats && found->sizes[axis] != whole.sizes[axis]) return false;
        if (repeats) found->steps[axis] = 0;
        found->sizes[axis] = whole.sizes[axis];
    }
    return true;
}
#endif

walker walk_start(const walk *along) {
    walker now;
    memset(&now, 0, sizeof now);
    now.at = along->start;
    return now;
}

void walk_next(const walk *along, walker *now) {
    for (uint32_t axis = LARGEST_RANK; axis-- > 0;) {
        now->at += along->steps[axis];
        if (++now->index[axis] < along->sizes[axis]) return;
        now->at -= along->sizes[axis] * along->steps[axis];
        now->index[axis] = 0;
    }
}

void walk_gather(const walk *along, const uint8_t *from, uint8_t *to, uint32_t element_bytes) {
    walker now = walk_start(along);
    for (int32_t left = walk_count(along); left > 0; left--, to += element_bytes) {
        memcpy(to, from + (uint32_t)now.at * element_bytes, element_bytes);
        walk_next(along, &now);
    }
}

void walk_scatter(const walk *along, const uint8_t *from, uint8_t *to, uint32_t element_bytes) {
    walker now = walk_start(along);
    for (int32_t left = walk_count(along); left > 0; left--, from += element_bytes) {
        memcpy(to + (uint32_t)now.at * element_bytes, from, element_bytes);
        walk_next(along, &now);
    }
}

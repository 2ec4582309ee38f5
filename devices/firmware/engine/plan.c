/* Where activations stand in the arena: the largest first, each at the lowest place that is free for as long as it lives.
 *
 * Greedy by size over lifetimes (Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020), in place:
 * it needs no memory of its own. The time is at worst cubic in the number of tensors, which MOST_TENSORS bounds.
 */
#include <stddef.h>

#include "state.h"

static bool live_together(const tensor_record *a, const tensor_record *b) {
    return a->first <= b->last && b->first <= a->last;
}

static tensor_record *largest_unplaced(const engine *it) {
    tensor_record *records = tensors_of(it);
    tensor_record *largest = NULL;
    for (uint32_t index = 0; index < it->tensor_count; index++) {
        tensor_record *one = &records[index];
        if (one->placed || one->constant || one->first == NEVER) continue;
        if (largest == NULL || one->bytes > largest->bytes) largest = one;
    }
    return largest;
}

static uint64_t lowest_place(const engine *it, const tensor_record *wanted, uint32_t from) {
    const tensor_record *records = tensors_of(it);
    uint64_t place = from;
    bool moved = true;
    while (moved) {
        moved = false;
        for (uint32_t index = 0; index < it->tensor_count; index++) {
            const tensor_record *other = &records[index];
            uint64_t end = (uint64_t)other->place + other->bytes;
            if (!other->placed || !live_together(wanted, other)) continue;
            if (place >= end || place + wanted->bytes <= other->place) continue;
            place = (end + 3) & ~(uint64_t)3;
            moved = true;
        }
    }
    return place;
}

bool plan_activations(engine *it, uint32_t *needed_bytes) {
    uint32_t start = it->used_bytes;
    uint64_t high = start;
    for (tensor_record *next = largest_unplaced(it); next != NULL; next = largest_unplaced(it)) {
        uint64_t place = lowest_place(it, next, start);
        uint64_t end = place + next->bytes;
        if (end > UINT32_MAX) end = UINT32_MAX;
        next->place = (uint32_t)(end - next->bytes);
        next->placed = true;
        if (end > high) high = end;
    }
    *needed_bytes = (uint32_t)high;
    if (high > it->arena_bytes) return false;
    it->used_bytes = (uint32_t)high;
    return true;
}

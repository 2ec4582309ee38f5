/* Where a running operator's tensors are. Out of line, so that kernels compile alike with a file and without. */
#include "running.h"

#include <stddef.h>
#ifndef ENGINE_STANDALONE
#include "state.h"

const void *input_bytes(const running *now, uint32_t index) {
    const tensor_record *record = index < now->input_count ? numbered(now->of, now->inputs, index) : NULL;
    if (record == NULL) return NULL;
    return record->constant ? now->of->model + record->place : bytes_of(now->of, record);
}

void *output_bytes(const running *now, uint32_t index) {
    return bytes_of(now->of, numbered(now->of, now->outputs, index));
}

void *scratch_bytes(const running *now) {
    return now->of->arena + now->of->scratch;
}
#else

const void *input_bytes(const running *now, uint32_t index) {
    return index < now->input_count ? now->inputs[index] : NULL;
}

void *output_bytes(const running *now, uint32_t index) {
    return now->outputs[index];
}

void *scratch_bytes(const running *now) {
    return now->scratch;
}
#endif

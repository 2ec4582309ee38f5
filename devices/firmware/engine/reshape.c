/* RESHAPE, SQUEEZE, EXPAND_DIMS: the same bytes under another shape. */
#include <string.h>

#include "kernels.h"

typedef struct {
    uint32_t bytes;
} reshape;

#ifndef ENGINE_STANDALONE
static bool prepare(preparation *at) {
    tensor input, output;
    if (!input_tensor(at, 0, &input) || !output_tensor(at, 0, &output)) return false;
    if (input.type != output.type || input.bytes != output.bytes) return unsupported(at, "input and output differ in type or size");
    reshape *it = claim(at, sizeof(reshape));
    if (it == NULL) return false;
    it->bytes = input.bytes;
    return true;
}
#endif

static void run(const running *now) {
    const reshape *it = now->settings;
    memcpy(output_bytes(now, 0), input_bytes(now, 0), it->bytes);
}

const kernel RESHAPE = {{"RESHAPE", 22, 1, 2}, prepare, run};
const kernel SQUEEZE = {{"SQUEEZE", 43, 1, 2}, prepare, run};
const kernel EXPAND_DIMS = {{"EXPAND_DIMS", 70, 1, 2}, prepare, run};

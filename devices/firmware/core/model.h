/* The model that runs: loaded from the model buffer, fed, run inside a measured window, read. */
#ifndef EDGEPIPE_MODEL_H
#define EDGEPIPE_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/engine.h"

enum model_result { MODEL_OK, MODEL_REFUSED, MODEL_NONE, MODEL_NO_SUCH_PART, MODEL_INPUT_MISSING };

#define MODEL_INPUTS_MAX 16u

/* Give the model in the model buffer to the engine; `error` is filled for MODEL_REFUSED. */
enum model_result model_load(uint32_t model_bytes, engine_error *error);

/* Let go of it; the model buffer may then be written. */
void model_unload(void);

/* The engine with the model in it, or NULL. */
const engine *model_loaded(void);

/* Write a part of an input: it starts at most where the parts before it ended. */
enum model_result model_write(uint32_t input, uint32_t offset, const uint8_t *bytes, uint32_t count);

/* Run once; every input must have been written since the last run, which may have used its memory for something else. */
enum model_result model_run(uint64_t *ticks);

#endif

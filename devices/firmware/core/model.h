/* The model that runs: loaded from where it stands, fed, run inside a measured window, read. */
#ifndef EDGEPIPE_MODEL_H
#define EDGEPIPE_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/engine.h"

enum model_result { MODEL_OK, MODEL_REFUSED, MODEL_NONE, MODEL_NO_SUCH_PART, MODEL_INPUT_MISSING, MODEL_NO_ROOM };

#define MODEL_INPUTS_MAX 16u
#define MODEL_RUNS_MAX (1u << 22) /* in one window, in which nothing reads the line */

/* A model in memory or flash, with what the text protocol says of it; stays where it is while it is loaded. */
struct model_source {
    const uint8_t *content; /* starts at a multiple of 16 */
    uint32_t bytes;
    const char *name; /* ends with a zero */
    uint8_t scores;   /* enum upload_scores */
};

/* Give a model to the engine; `error` is filled for MODEL_REFUSED. */
enum model_result model_load(const struct model_source *source, engine_error *error);

/* Let go of it; the model buffer may then be written. */
void model_unload(void);

/* Where the loaded model came from, or NULL. */
const struct model_source *model_origin(void);

/* The engine with the model in it, or NULL. */
const engine *model_loaded(void);

/* Write a part of an input: it starts at most where the parts before it ended. */
enum model_result model_write(uint32_t input, uint32_t offset, const uint8_t *bytes, uint32_t count);

/* Run `count` times, 1 to MODEL_RUNS_MAX, on the same inputs inside one measured window; each must have been written since the last run, which may have
   used its memory for something else. More than one run keeps a copy of the inputs in what the engine leaves of the arena. */
enum model_result model_run(uint32_t count, uint64_t *ticks);

/* Run the loaded model once, outside any window: nothing is timed, and the marker stays where it is. Every input must have been
   written, which nobody checks. */
void model_run_unmarked(void);

#endif

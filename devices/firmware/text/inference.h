/* What "infer", "results" and "timestamp" do. */
#ifndef EDGEPIPE_INFERENCE_H
#define EDGEPIPE_INFERENCE_H

#include <stdint.h>

/* Run the model on what "db" loaded: `warmup` times, then `runs` times between two time stamps, then tell the results. */
void inference_run(uint32_t runs, uint32_t warmup);

/* Tell the last results. */
void inference_results(void);

/* Tell the time: microseconds since the start, modulo 2^32, which is 71.6 minutes; in energy mode by a falling edge alone. */
void inference_timestamp(void);

#endif

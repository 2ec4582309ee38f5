/* Runs the golden inputs and says of each whether what comes out is what must come out, bit for bit; ends with 0 where all are.
 *
 * A program of your own does the same: engine_load() once, then write an input with the quantize_input() of the model's header,
 * engine_invoke(), and read the output with its dequantize_output().
 */
#include <stdbool.h>
#include <string.h>

#include "board.h"
#include "engine/engine.h"
#include "model.h"

static _Alignas(16) uint8_t arena[MODEL_ARENA_BYTES];

static void say_number(uint32_t number) {
    char text[11];
    char *at = text + sizeof text;
    *--at = '\0';
    do {
        *--at = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    board_say(at);
}

static bool passes(engine *loaded, uint32_t sample) {
    for (uint32_t index = 0; index < engine_input_count(loaded); index++) {
        engine_tensor input = engine_input(loaded, index);
        memcpy(input.data, MODEL_INPUTS[index] + sample * input.bytes, input.bytes);
    }
    engine_invoke(loaded);
    bool same = true;
    for (uint32_t index = 0; index < engine_output_count(loaded); index++) {
        engine_tensor output = engine_output(loaded, index);
        same = same && memcmp(output.data, MODEL_OUTPUTS[index] + sample * output.bytes, output.bytes) == 0;
    }
    return same;
}

int main(void) {
    const engine_clock none = {NULL, NULL};
    engine_error why;
    engine *loaded = engine_load(MODEL_DATA, MODEL_BYTES, arena, sizeof arena, none, &why);
    uint32_t failed = 0;
    if (loaded == NULL) {
        board_say(MODEL_NAME " is refused: ");
        board_say(why.reason);
        board_say("\nFAIL\n");
        board_end(1);
    }
    for (uint32_t sample = 0; sample < MODEL_SAMPLES; sample++) {
        bool pass = passes(loaded, sample);
        board_say(MODEL_NAME ", golden input ");
        say_number(sample);
        board_say(pass ? ": pass\n" : ": fail\n");
        if (!pass) failed++;
    }
    board_say(failed == 0 ? "PASS\n" : "FAIL\n");
    board_end(failed == 0 ? 0 : 1);
}

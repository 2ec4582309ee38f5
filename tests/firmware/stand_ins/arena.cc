// engine.h and its arena: as much as an engine says that it used is enough, a byte less is not, and no size goes past its end.
extern "C" {
#include "engine/engine.h"
}

alignas(16) static unsigned char arena[65536];
static const unsigned char model[] = {'T', 'F', 'L', '3', 2, 0, 3};

static engine *loaded(uint32_t arena_bytes) {
    engine_error error;
    return engine_load(model, sizeof model, arena, arena_bytes, {nullptr, nullptr}, &error);
}

int main() {
    engine *it = loaded(sizeof arena);
    if (it == nullptr || engine_step_count(it) != 2 || engine_step_operator(it, 2) != nullptr) return 1;
    const uint32_t used = engine_arena_used(it);
    for (uint32_t i = used; i < sizeof arena; i++) arena[i] = 0xA5;
    engine_invoke(it);
    for (uint32_t i = used; i < sizeof arena; i++) {
        if (arena[i] != 0xA5) return 4;
    }
    if (loaded(used) == nullptr) return 2;
    for (uint32_t bytes = 0; bytes < used; bytes++) {
        if (loaded(bytes) != nullptr) return 3;
    }
    return 0;
}

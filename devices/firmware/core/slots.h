/* Two slots for models in the port's flash: one holds the model that runs, the other takes the next one.

   A slot is a sector of records (core/slot_log.h) and then the model, which is read in place. At boot the newest slot counts of
   those that are whole, not revoked, and confirmed or never tried: an unconfirmed one runs once, on trial, and the next reset
   goes back to the other by itself. */
#ifndef EDGEPIPE_SLOTS_H
#define EDGEPIPE_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/slot_log.h"
#include "engine/engine.h"

#define SLOTS_COUNT 2u
#define SLOTS_NONE 0xFFu

enum slots_result {
    SLOTS_OK,
    SLOTS_NO_FLASH,    /* the port keeps no models */
    SLOTS_FAILED,      /* the flash does not take what is written */
    SLOTS_NO_TRIAL,    /* the model that is meant does not run, or not any more */
    SLOTS_NO_WAY_BACK, /* the other slot holds nothing to go back to */
};

/* Choose a slot and load its model. */
void slots_start(void);

/* Load the chosen slot's model again, after another one ran; false where there is none. `error` as model_load() fills it. */
bool slots_load(engine_error *error);

/* Bytes that a model may have; 0 where the port keeps none. */
uint32_t slots_capacity(void);

/* The slot that was chosen at boot, or SLOTS_NONE. */
uint32_t slots_running(void);

/* Whether what runs is there to stay: a confirmed model that was not given up, or none. */
bool slots_are_settled(void);

/* Where a slot begins in the flash, and what its records tell. */
uint32_t slots_offset(uint32_t slot);
struct slot_story slots_story(uint32_t slot);

/* Whether the slot's model is there with the right hash. */
bool slots_is_sound(uint32_t slot);

/* Keep the model `sequence`, which runs. */
enum slots_result slots_confirm(uint32_t sequence);

/* Give up the model `sequence`, which runs; the next reset goes back. A confirmed one only where there is something to go back to. */
enum slots_result slots_revoke(uint32_t sequence, const uint8_t *words, uint32_t words_bytes);

#endif

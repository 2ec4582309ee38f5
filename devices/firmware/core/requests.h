/* What the host may ask in frames. An answer has the request's sequence number, its kind with the top bit, and a status first.

   Every request may come twice, since its answer may be lost: all but INVOKE change nothing by being done again, and an INVOKE
   with the number of the last one is answered with what that one found. Numbers are little-endian.

   request               payload                                           answer after the status
   HELLO                 -                                                 -; INVOKE begins anew
   INFO                  offset u32                                        a piece of the lines that core/info.h makes
   BEGIN                 sha256 32, bytes u32, scores u8, name             offset u32
   DATA                  offset u32, bytes                                 offset u32 of what is wanted next
   COMMIT                -                                                 offset u32
   LOAD                  kept u8, 0 where left away: the upload            arena u32, inputs u16, outputs u16, steps u32
                                                                           REFUSED: engine_status u8, operator i32, builtin i32,
                                                                           version i32, needed u32, reason
   TENSOR                output u8, index u8                               type u8, bytes u32, scale f32, zero point i32
   WRITE                 input u8, offset u32, bytes                       -
   INVOKE                how often u32, to 2^22; left away: once           ticks u64 of all of them
   READ                  output u8, offset u32, count u16                  bytes
   STEPS                 first u32                                         (builtin u8, ticks u32) for as many as there is room for
   FORGET                -                                                 -; the upload and the model are dropped
   RESET                 -                                                 -; then the board starts anew
   SLOTS                 -                                                 capacity u32, running u8, then of each slot: marks u32,
                                                                           sequence u32, bytes u32, version u64, floor u64,
                                                                           sha256 32, name 32, why it was revoked 64
   STAGE                 version u64, 0 for none                           done u32, total u32, sequence u32; again until both are
                                                                           equal: the upload then stands in the slot
   CONFIRM               sequence u32 of what runs on trial                -
   REVOKE                sequence u32 of what runs, why                    -; the next reset goes back */
#ifndef EDGEPIPE_REQUESTS_H
#define EDGEPIPE_REQUESTS_H

#include "frame/frame.h"

enum request_kind {
    REQUEST_HELLO = 0x01,
    REQUEST_INFO = 0x02,
    REQUEST_BEGIN = 0x10,
    REQUEST_DATA = 0x11,
    REQUEST_COMMIT = 0x12,
    REQUEST_LOAD = 0x20,
    REQUEST_TENSOR = 0x21,
    REQUEST_WRITE = 0x22,
    REQUEST_INVOKE = 0x23,
    REQUEST_READ = 0x24,
    REQUEST_STEPS = 0x25,
    REQUEST_FORGET = 0x30,
    REQUEST_RESET = 0x31,
    REQUEST_SLOTS = 0x40,
    REQUEST_STAGE = 0x41,
    REQUEST_CONFIRM = 0x42,
    REQUEST_REVOKE = 0x43,
};

#define REQUEST_ANSWERED 0x80u

enum request_status {
    STATUS_OK = 0,
    STATUS_UNKNOWN_REQUEST = 1, /* a kind that this firmware does not have */
    STATUS_BAD_REQUEST = 2,     /* a payload that cannot be */
    STATUS_TOO_LARGE = 3,       /* the model buffer is smaller, or the arena has no room to keep the inputs */
    STATUS_NO_UPLOAD = 4,       /* nothing was begun, or the board was reset and forgot */
    STATUS_INCOMPLETE = 5,
    STATUS_DIFFERENT = 6, /* the whole file has another hash */
    STATUS_NO_MODEL = 7,
    STATUS_REFUSED = 8, /* the engine does not take the model */
    STATUS_INPUT_MISSING = 9,
    STATUS_NO_FLASH = 10,     /* the port keeps no models */
    STATUS_FLASH_FAILED = 11, /* it does not take what is written */
    STATUS_ON_TRIAL = 12,     /* while a trial runs, and until the reset after it was given up, there is no slot to write to */
    STATUS_NO_TRIAL = 13,     /* what is meant does not run, or not any more */
    STATUS_NO_WAY_BACK = 14,
};

/* Do what a whole frame asks and answer it. */
void request_answer(const struct frame_decoder *request);

#endif

/* Commands are collected up to "%", split at spaces, and answered word for word as the reference does. */
#include "text/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "core/model.h"
#include "core/say.h"
#include "core/upload.h"
#include "port/port.h"
#include "text/inference.h"
#include "text/mode.h"
#include "text/samples.h"

#define COMMAND_BYTES_MAX 80u
#define END_OF_COMMAND ((uint8_t)'%')
#define USUAL_RUNS 1
#define USUAL_WARMUP 10

static char command[COMMAND_BYTES_MAX + 1u];
static uint32_t command_bytes;
static char *rest; /* of the command, after the word taken last */

static void say(const char *words)
{
    say_words(port_write, words);
}

/* Return the next word, or NULL: words are what is between spaces, as strtok() makes them. */
static char *next_word(void)
{
    while (*rest == ' ') {
        rest++;
    }
    if (*rest == '\0') {
        return NULL;
    }
    char *word = rest;
    while (*rest != ' ' && *rest != '\0') {
        rest++;
    }
    if (*rest == ' ') {
        *rest++ = '\0';
    }
    return word;
}

/* The number that a word begins with, as atoi() reads it, but never beyond 2^31 - 1. */
static int32_t number_in(const char *word)
{
    const bool negative = *word == '-';
    int64_t number = 0;
    for (word += negative || *word == '+' ? 1 : 0; *word >= '0' && *word <= '9'; word++) {
        number = number * 10 + (*word - '0');
        number = number > INT32_MAX ? INT32_MAX : number;
    }
    return (int32_t)(negative ? -number : number);
}

static void say_profile(void)
{
    const struct upload_order *order = upload_current();
    const char *name = model_origin() != NULL ? model_origin()->name : order != NULL ? order->name : "";
    say("m-profile-[ULPMark for tinyML Firmware V0.0.1]\r\nm-model-[");
    say(name[0] == '\0' ? "none" : name);
    say("]\r\n");
}

static void db(void)
{
    const char *word = next_word();
    if (word == NULL) {
        say("e-[Command 'db' requires a subcommand]\r\n");
    } else if (strcmp(word, "load") == 0) {
        const char *count = next_word();
        if (count == NULL) {
            say("e-[Command 'db load' requires the # of bytes]\r\n");
        } else {
            samples_expect(number_in(count));
        }
    } else if (strcmp(word, "print") == 0) {
        samples_print();
    } else {
        samples_add(word);
    }
}

static void infer(void)
{
    const char *word = next_word();
    int32_t runs = USUAL_RUNS;
    int32_t warmup = USUAL_WARMUP;
    if (word != NULL) {
        runs = number_in(word);
        if (runs <= 0) {
            say("e-[Inference iterations must be >0]\r\n");
            return;
        }
        word = next_word();
        warmup = word == NULL ? warmup : number_in(word);
        if (warmup < 0) {
            say("e-[Inference warmup must be >=0]\r\n");
            return;
        }
    }
    inference_run((uint32_t)runs, (uint32_t)warmup);
}

static void answer(void)
{
    const char *word = next_word();
    if (word == NULL) {
        say("e-[Unknown command: ]\r\n");
    } else if (strcmp(word, "name") == 0) {
        say("m-name-dut-[edgepipe]\r\n");
    } else if (strcmp(word, "timestamp") == 0) {
        inference_timestamp();
    } else if (strcmp(word, "profile") == 0) {
        say_profile();
    } else if (strcmp(word, "db") == 0) {
        db();
    } else if (strcmp(word, "infer") == 0) {
        infer();
    } else if (strcmp(word, "results") == 0) {
        inference_results();
    } else {
        say("e-[Unknown command: ");
        say(word);
        say("]\r\n");
    }
    say("m-ready\r\n");
}

void text_hello(void)
{
    say("m-timestamp-mode-" MODE_NAME "\r\n");
    inference_timestamp();
    say("m-init-done\r\nm-ready\r\n");
}

void text_take(uint8_t byte)
{
    if (byte == END_OF_COMMAND) {
        command[command_bytes] = '\0';
        command_bytes = 0;
        rest = command;
        answer();
    } else if (command_bytes < COMMAND_BYTES_MAX) {
        command[command_bytes++] = (char)byte;
    }
}

void text_break(void)
{
    command_bytes = 0;
}

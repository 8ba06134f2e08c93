/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Inputs that are kept because they reach instructions that others do not. An
 * input is the tape of a few commands (generate.h), which begin in the state
 * after loading; so the answers are compared with the model like all others.
 *
 * In a file an input is a paragraph: 0-9a-zA-Z is a draw of 0 to 61, (1f) a
 * larger one in hexadecimal; lines that begin with # are comments.
 */
#ifndef CORPUS_H
#define CORPUS_H

#include <stdio.h>
#include "generate.h"

void input_write(FILE *file, const struct tape *tape);

/*
 * Replays the inputs of a file. Then, for so many seconds, it changes them and
 * keeps inputs that reach instructions of vs.ko which no other has reached. All
 * that are worth keeping, each as short as possible, are written to `new`. Speaks
 * TAP, returns the exit status.
 */
int corpus(const char *path, unsigned int seconds, const char *new);

#endif

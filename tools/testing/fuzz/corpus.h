/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Inputs that are kept because they reach what others do not. An input is the
 * tape of a few commands (generate.h) from the state after loading on; so it is
 * held against the model like everything else.
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
 * Replays the inputs of a file. Then, for so many seconds, changes them and keeps
 * what comes to instructions of vs.ko that none has come to; all that is worth
 * it, each as short as it can be, is written to `new`. Speaks TAP, returns the
 * exit status.
 */
int corpus(const char *path, unsigned int seconds, const char *new);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * trace.h - Frames as lines of text
 */

#ifndef TRACE_H
#define TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "view.h"

#define TRACE_STRLEN	256

const char *trace_str(const struct view *frame, char buf[TRACE_STRLEN]);
void trace_frame(bool from_guest, const struct view *frame);

#endif /* TRACE_H */

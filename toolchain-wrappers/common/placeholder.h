/* The placeholder: the small file that stands for an output not made yet. Layout version 1, always 256 bytes.
 *
 *    0  "#!" SHIM " --gg-placeholder\n", or "#!/bin/false\n" when SHIM is longer than 139 bytes or has white space in
 *       it, where the kernel would split it; then "gg placeholder: run gg-force" where there is
 *       room for it, spaces, and a newline at 159
 *  160  "gg-placeholder 1 "    17 bytes, the magic
 *  177  the thunk              64 lower-case hexadecimal digits
 *  241  " "
 *  242  the output's index     5 decimal digits, padded with zeros
 *  247  "\n"
 *  248  7 spaces, and a newline at 255
 *
 * The size is fixed so that a reader learns from one fstat that a file is not a placeholder. The first line makes the
 * kernel start the shim when the file is executed where nothing is preloaded: 160 bytes keep it within the 256 that
 * Linux reads of such a line, and within the 128 of kernels before 5.1 for any SHIM up to 107 bytes.
 */
#ifndef GG_PLACEHOLDER_H
#define GG_PLACEHOLDER_H

#include <string.h>

#define GG_PLACEHOLDER_SIZE 256
#define GG_PLACEHOLDER_MAGIC_AT 160
#define GG_PLACEHOLDER_MAGIC "gg-placeholder 1 "
#define GG_PLACEHOLDER_THUNK_AT 177
#define GG_PLACEHOLDER_INDEX_AT 242
#define GG_PLACEHOLDER_FLAG "--gg-placeholder"

/* What the recorder writes as a dependency file ends with GG_RULE_NEWLINES newlines or more, and its size is
 * GG_RULE_REST more than a multiple of GG_RULE_STEP: so one stat rules out nearly all other files.
 * gg/record/depfiles/softfiles.py writes it. */
#define GG_RULE_STEP 64
#define GG_RULE_REST 41
#define GG_RULE_NEWLINES 16

/* May a file of this size be such a dependency file? */
static inline int gg_may_be_rule(long long size)
{
    return size % GG_RULE_STEP == GG_RULE_REST;
}

/* Are these the last bytes of one? */
static inline int gg_ends_rule(const char end[GG_RULE_NEWLINES])
{
    for (int i = 0; i < GG_RULE_NEWLINES; i++)
        if (end[i] != '\n')
            return 0;
    return 1;
}

/* Are these 256 bytes a placeholder? */
static inline int gg_is_placeholder(const char *bytes)
{
    if (bytes[0] != '#' || bytes[1] != '!' || bytes[GG_PLACEHOLDER_MAGIC_AT - 1] != '\n')
        return 0;
    if (memcmp(bytes + GG_PLACEHOLDER_MAGIC_AT, GG_PLACEHOLDER_MAGIC, sizeof GG_PLACEHOLDER_MAGIC - 1) != 0)
        return 0;
    for (int i = GG_PLACEHOLDER_THUNK_AT; i < GG_PLACEHOLDER_THUNK_AT + 64; i++)
        if (!((bytes[i] >= '0' && bytes[i] <= '9') || (bytes[i] >= 'a' && bytes[i] <= 'f')))
            return 0;
    return bytes[GG_PLACEHOLDER_SIZE - 1] == '\n';
}

#endif

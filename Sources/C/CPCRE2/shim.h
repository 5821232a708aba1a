#pragma once
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdint.h>

// The library's names are macros that Swift does not see.
static inline pcre2_code *martlet_pcre2_compile(const uint8_t *pattern, size_t length, int *error, size_t *offset) {
    return pcre2_compile(pattern, length, PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C, error, offset, 0);
}

static inline void martlet_pcre2_jit(pcre2_code *code) { (void)pcre2_jit_compile(code, PCRE2_JIT_COMPLETE); }

static inline void martlet_pcre2_free(pcre2_code *code) { pcre2_code_free(code); }

static inline pcre2_match_data *martlet_pcre2_data(void) { return pcre2_match_data_create(1, 0); }

static inline void martlet_pcre2_data_free(pcre2_match_data *data) { pcre2_match_data_free(data); }

static inline pcre2_match_context *martlet_pcre2_context(uint32_t match_limit, uint32_t heap_kib) {
    pcre2_match_context *context = pcre2_match_context_create(0);
    if (context) {
        pcre2_set_match_limit(context, match_limit);
        pcre2_set_heap_limit(context, heap_kib);
    }
    return context;
}

static inline void martlet_pcre2_context_free(pcre2_match_context *context) { pcre2_match_context_free(context); }

// 1: matches, 0: does not, -1: gave up at a limit.
static inline int martlet_pcre2_match(
    const pcre2_code *code, const uint8_t *subject, size_t length, pcre2_match_data *data, pcre2_match_context *context
) {
    int found = pcre2_match(code, subject, length, 0, PCRE2_NO_UTF_CHECK, data, context);
    return found >= 0 ? 1 : found == PCRE2_ERROR_NOMATCH ? 0 : -1;
}

static inline int martlet_pcre2_message(int error, uint8_t *text, size_t capacity) {
    return pcre2_get_error_message(error, text, capacity);
}

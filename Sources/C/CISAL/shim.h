#pragma once
#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>

// ISAL_DEF_LVL1_DEFAULT, which Swift does not see.
enum { martlet_isal_tables_size = ISAL_DEF_LVL1_DEFAULT };

// Swift does not see into the state, whose arrays are too long for it.

// Whether the stream's last byte has been written.
static inline int martlet_isal_ended(const struct isal_zstream *stream) {
    return stream->internal_state.state == ZSTATE_END;
}

// The executable's own segments in memory.
#pragma once
#include <elf.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>

// Takes the pages of code and constants out of the process's resident memory. They are clean pages of the file: what is
// used again comes back from the page cache, a fault for each. Pages that the process may write to are left alone.
static inline void martlet_drop_code_pages(void) {
#if __LP64__
    const Elf64_Phdr *headers = (const Elf64_Phdr *)getauxval(AT_PHDR);
    unsigned long count = getauxval(AT_PHNUM), page = getauxval(AT_PAGESZ);
    if (headers == 0 || page == 0) return;
    for (unsigned long table = 0; table < count; table++) {
        if (headers[table].p_type != PT_PHDR) continue;
        uintptr_t base = (uintptr_t)headers - headers[table].p_vaddr;
        for (unsigned long index = 0; index < count; index++) {
            if (headers[index].p_type != PT_LOAD || headers[index].p_flags & PF_W) continue;
            uintptr_t start = (base + headers[index].p_vaddr) & ~(page - 1);
            uintptr_t end = (base + headers[index].p_vaddr + headers[index].p_filesz) & ~(page - 1);
            if (end > start) madvise((void *)start, end - start, MADV_DONTNEED);
        }
    }
#endif
}

#ifndef CPREFETCH_H
#define CPREFETCH_H

/* Asks for the cache line at an address, which need not be valid. No access in the sense of the memory model: another
   thread may write there at the same time. */
static inline void martlet_prefetch(const void *_Nonnull address) { __builtin_prefetch(address, 1); }

#endif

/* The instructions of a filter of system calls. */
#ifndef GG_FILTER_H
#define GG_FILTER_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>

#define GG_LOAD(field) ((struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field)))
/* Passes over `yes` instructions if what was loaded is `value`, over `no` if not. */
#define GG_IF(value, yes, no) ((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no))
#define GG_END(action) ((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action))

#endif

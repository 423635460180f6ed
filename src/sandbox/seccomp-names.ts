/*
 * System calls by libseccomp's names, sorted into what they are for. A name that the runtime's libseccomp does not know is
 * skipped by it, so names of newer kernels do no harm.
 */

/** Calls every step may make: Docker's default profile, without the calls that depend on a capability or an argument. */
export const ALWAYS_ALLOWED: readonly string[] = words(`
  accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmmsg recvmmsg_time64 recvmsg
  send sendmmsg sendmsg sendto setsockopt shutdown socketcall socketpair

  access faccessat faccessat2 chdir fchdir getcwd chmod fchmod fchmodat fchmodat2 chown chown32 fchown fchown32 fchownat
  lchown lchown32 creat open openat openat2 close close_range dup dup2 dup3 link linkat symlink symlinkat readlink
  readlinkat unlink unlinkat rename renameat renameat2 mkdir mkdirat rmdir mknod mknodat truncate truncate64 ftruncate
  ftruncate64 fallocate getdents getdents64 umask utime utimes futimesat utimensat utimensat_time64
  stat stat64 lstat lstat64 fstat fstat64 fstatat64 newfstatat statx statfs statfs64 fstatfs fstatfs64 statmount listmount
  getxattr getxattrat lgetxattr fgetxattr listxattr listxattrat llistxattr flistxattr removexattr removexattrat
  lremovexattr fremovexattr setxattr setxattrat lsetxattr fsetxattr name_to_handle_at fanotify_mark
  inotify_add_watch inotify_init inotify_init1 inotify_rm_watch

  read readv pread64 preadv preadv2 write writev pwrite64 pwritev pwritev2 lseek _llseek sendfile sendfile64 splice tee
  vmsplice copy_file_range readahead fadvise64 fadvise64_64 sync syncfs sync_file_range fsync fdatasync fcntl fcntl64
  flock ioctl pipe pipe2 cachestat
  io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit ioprio_get ioprio_set
  select _newselect pselect6 pselect6_time64 poll ppoll ppoll_time64 epoll_create epoll_create1 epoll_ctl epoll_ctl_old
  epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 signalfd signalfd4 memfd_create memfd_secret

  brk mmap mmap2 munmap mremap mprotect madvise mincore mlock mlock2 mlockall munlock munlockall msync mseal membarrier
  map_shadow_stack remap_file_pages pkey_alloc pkey_free pkey_mprotect process_mrelease

  execve execveat exit exit_group fork vfork wait4 waitid waitpid pause restart_syscall
  kill tkill tgkill rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait
  rt_sigtimedwait_time64 rt_tgsigqueueinfo sigaltstack sigprocmask sigreturn pidfd_open pidfd_send_signal uretprobe
  getpid getppid getpgid getpgrp getsid gettid setpgid setsid set_tid_address get_thread_area set_thread_area
  get_robust_list set_robust_list rseq futex futex_time64 futex_waitv futex_wait futex_wake futex_requeue
  getuid getuid32 geteuid geteuid32 getgid getgid32 getegid getegid32 getresuid getresuid32 getresgid getresgid32
  getgroups getgroups32 setuid setuid32 setgid setgid32 setreuid setreuid32 setregid setregid32 setresuid setresuid32
  setresgid setresgid32 setfsuid setfsuid32 setfsgid setfsgid32 setgroups setgroups32 capget capset prctl seccomp
  landlock_add_rule landlock_create_ruleset landlock_restrict_self
  getrlimit ugetrlimit setrlimit prlimit64 getrusage getpriority setpriority times
  getcpu sched_getaffinity sched_getattr sched_getparam sched_get_priority_max sched_get_priority_min sched_getscheduler
  sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam sched_setscheduler
  sched_yield

  ipc mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink
  msgctl msgget msgrcv msgsnd semctl semget semop semtimedop semtimedop_time64 shmat shmctl shmdt shmget

  alarm adjtimex clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64
  clock_nanosleep clock_nanosleep_time64 nanosleep gettimeofday time getitimer setitimer timer_create timer_delete
  timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime
  timerfd_gettime64 timerfd_settime timerfd_settime64

  getrandom sysinfo uname riscv_hwprobe
  process_vm_readv process_vm_writev ptrace
`);

/** Calls that a capability opens. */
export const BY_CAPABILITY: Readonly<Record<string, readonly string[]>> = {
  CAP_DAC_READ_SEARCH: words('open_by_handle_at'),
  CAP_SYS_ADMIN: words(`
    bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr lsm_list_modules
    lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname
    sethostname setns syslog umount umount2 unshare`),
  CAP_SYS_BOOT: words('reboot'),
  CAP_SYS_CHROOT: words('chroot'),
  CAP_SYS_MODULE: words('delete_module init_module finit_module'),
  CAP_SYS_PACCT: words('acct'),
  CAP_SYS_PTRACE: words('kcmp pidfd_getfd process_madvise'),
  CAP_SYS_RAWIO: words('iopl ioperm'),
  CAP_SYS_TIME: words('settimeofday stime clock_settime clock_settime64'),
  CAP_SYS_TTY_CONFIG: words('vhangup'),
  CAP_SYS_NICE: words('get_mempolicy mbind set_mempolicy set_mempolicy_home_node'),
  CAP_SYSLOG: words('syslog'),
  CAP_BPF: words('bpf'),
  CAP_PERFMON: words('perf_event_open'),
};

/** Calls that exist on one family of processors only, by OCI architecture. */
export const BY_ARCHITECTURE: Readonly<Record<string, readonly string[]>> = {
  amd64: words('arch_prctl modify_ldt'),
  arm64: words(
    'arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls',
  ),
  arm: words('arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls'),
  ppc64le: words('sync_file_range2 swapcontext'),
  riscv64: words('riscv_flush_icache'),
  s390x: words('s390_pci_mmio_read s390_pci_mmio_write s390_runtime_instr'),
};

function words(text: string): readonly string[] {
  return text.trim().split(/\s+/);
}

//! How the program holds memory.

/// Keeps memory that was freed for the next request, where the system's C library is asked to.
///
/// A training step frees and asks for the same tens of megabytes again and again. glibc gives such pieces back to the
/// system, which then has to clear and map each page anew: three tenths of the time of a step of Burn's operations. Pieces
/// over its limit it maps one by one where it may: the feature maps of `ipt-flute` are such, a fifth of a step's time.
pub fn keep_freed() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        /// Pieces up to here come from the heap; glibc's own limit.
        const LARGEST: i32 = 32 << 20;
        // SAFETY: mallopt may be called at any time from any thread, and refuses what it does not know.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, LARGEST);
            libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
            libc::mallopt(libc::M_MMAP_MAX, 0);
        }
    }
}

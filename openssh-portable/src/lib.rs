//! The patched OpenSSH, built by build.rs.

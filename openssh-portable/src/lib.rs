// SPDX-License-Identifier: ISC

//! The patched OpenSSH. There is nothing here to link against: build.rs builds
//! the programs, below target/openssh/.

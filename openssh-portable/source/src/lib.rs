//! The pinned openssh-portable tree.

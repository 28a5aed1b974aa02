//! The operating system's errors as failures: `errno` first, since `std::io::ErrorKind` folds what we tell apart.

use std::io;

use faultline_record::{Failure, NotRun, Outcome};

/// How a step ended that met this error. A shortage of this machine (descriptors, memory) is no failure of the step:
/// it was not run.
pub fn outcome(error: &io::Error) -> Outcome {
    match error.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM) => Outcome::NotRun(NotRun::LocalLimit),
        Some(errno) => Outcome::Failed(of_errno(errno)),
        None => Outcome::Failed(of_kind(error.kind())),
    }
}

/// The failure of an `errno`.
pub fn of_errno(errno: i32) -> Failure {
    // Not in the table below: on Linux the two are one number, elsewhere they are not.
    if errno == libc::EAGAIN || errno == libc::EWOULDBLOCK {
        return Failure::OperationWouldBlock;
    }
    match errno {
        libc::EAFNOSUPPORT => Failure::AddressFamilyNotSupported,
        libc::EADDRINUSE => Failure::AddressInUse,
        libc::EADDRNOTAVAIL => Failure::AddressNotAvailable,
        libc::EISCONN => Failure::AlreadyConnected,
        libc::EFAULT => Failure::BadAddress,
        libc::EBADF => Failure::BadFileDescriptor,
        libc::ECONNABORTED => Failure::ConnectionAborted,
        libc::EALREADY => Failure::ConnectionAlreadyInProgress,
        libc::ECONNREFUSED => Failure::ConnectionRefused,
        // EPIPE is what a write meets after the reset has been consumed by a read, or after a FIN and its reset.
        libc::ECONNRESET | libc::EPIPE => Failure::ConnectionReset,
        libc::EDESTADDRREQ => Failure::DestinationAddressRequired,
        libc::EHOSTUNREACH => Failure::HostUnreachable,
        libc::EINTR => Failure::Interrupted,
        libc::EINVAL => Failure::InvalidArgument,
        libc::EMSGSIZE => Failure::MessageSize,
        libc::ENETDOWN => Failure::NetworkDown,
        libc::ENETRESET => Failure::NetworkReset,
        libc::ENETUNREACH => Failure::NetworkUnreachable,
        libc::ENOBUFS => Failure::NoBufferSpace,
        libc::ENOPROTOOPT => Failure::NoProtocolOption,
        libc::ENOTSOCK => Failure::NotASocket,
        libc::ENOTCONN => Failure::NotConnected,
        libc::EACCES | libc::EPERM => Failure::PermissionDenied,
        libc::EPROTONOSUPPORT => Failure::ProtocolNotSupported,
        libc::ETIMEDOUT => Failure::TimedOut,
        libc::EPROTOTYPE => Failure::WrongProtocolType,
        _ => Failure::UnknownFailure,
    }
}

/// The failure of an error that a library made up without an `errno`.
fn of_kind(kind: io::ErrorKind) -> Failure {
    match kind {
        io::ErrorKind::UnexpectedEof => Failure::EofError,
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Failure::ConnectionReset,
        io::ErrorKind::ConnectionRefused => Failure::ConnectionRefused,
        io::ErrorKind::ConnectionAborted => Failure::ConnectionAborted,
        io::ErrorKind::TimedOut => Failure::GenericTimeoutError,
        io::ErrorKind::NotConnected => Failure::NotConnected,
        io::ErrorKind::PermissionDenied => Failure::PermissionDenied,
        io::ErrorKind::HostUnreachable => Failure::HostUnreachable,
        io::ErrorKind::NetworkUnreachable => Failure::NetworkUnreachable,
        _ => Failure::UnknownFailure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_of_the_system_layer_has_its_errno() {
        // Those of the vocabulary that come from somewhere else than an errno.
        let elsewhere = [Failure::ConnectionAlreadyClosed, Failure::UnknownFailure];
        let reached: Vec<Failure> = (1..200).map(of_errno).collect();
        for &failure in Failure::ALL {
            if failure.layer() == faultline_record::Layer::System && !elsewhere.contains(&failure) {
                assert!(reached.contains(&failure), "{failure} is no errno's");
            }
        }
        for failure in
            [Failure::ConnectionRefused, Failure::ConnectionReset, Failure::TimedOut, Failure::HostUnreachable]
        {
            assert!(reached.contains(&failure), "{failure} is no errno's");
        }
    }

    #[test]
    fn a_shortage_of_this_machine_is_not_a_failure() {
        for errno in [libc::EMFILE, libc::ENFILE, libc::ENOMEM] {
            assert_eq!(outcome(&io::Error::from_raw_os_error(errno)), Outcome::NotRun(NotRun::LocalLimit));
        }
        assert_eq!(
            outcome(&io::Error::from_raw_os_error(libc::ECONNREFUSED)),
            Outcome::Failed(Failure::ConnectionRefused)
        );
        assert_eq!(outcome(&io::ErrorKind::UnexpectedEof.into()), Outcome::Failed(Failure::EofError));
    }
}

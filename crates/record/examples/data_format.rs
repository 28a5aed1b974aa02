//! Prints `docs/data-format.md`.

fn main() {
    print!("{}", faultline_record::data_format());
}

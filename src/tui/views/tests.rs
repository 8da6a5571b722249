//! Whole screens as text, in many states and sizes.

use crate::tui::fixture::*;

#[test]
fn look() {
    for (c, r) in [(80, 24), (140, 40), (200, 50)] {
        println!("{}", screen(&night(c, r)));
    }
}

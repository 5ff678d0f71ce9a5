#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

#[test]
fn the_compatible_message_is_the_bare_bytes_that_patches_know() {
    assert_eq!(class(3), b"/class\0\0,i\0\0\0\0\0\x03");
    assert_eq!(class(-1), b"/class\0\0,i\0\0\xff\xff\xff\xff");
}

#[test]
fn events_and_status_have_their_types_in_order() {
    let bytes = event("Solo", "bowed", 0.5, 2.0, 1);
    assert_eq!(bytes, b"/tocco/Solo/event\0\0\0,sffi\0\0\0bowed\0\0\0\x3f\0\0\0\x40\0\0\0\0\0\0\x01");
    let bytes = status("a", "worker", 40.0, 0.25, u64::MAX, "as set");
    assert_eq!(bytes, b"/tocco/a/status\0,sffis\0\0worker\0\0\x42\x20\0\0\x3e\x80\0\0\x7f\xff\xff\xffas set\0\0");
}

#[test]
fn lists_may_be_empty() {
    assert_eq!(names("a", "active", [].into_iter()), b"/tocco/a/active\0,\0\0\0");
    assert_eq!(names("a", "classes", ["x", "none"].into_iter()), b"/tocco/a/classes\0\0\0\0,ss\0x\0\0\0none\0\0\0\0");
    assert_eq!(probs("a", [1.0].into_iter()), b"/tocco/a/probs\0\0,f\0\0\x3f\x80\0\0");
}

#[test]
fn names_hold_only_what_an_address_may() {
    assert_eq!(sanitise("Vc. 1/2 #é"), "Vc__1_2___");
    assert_eq!(sanitise("a-b_C9"), "a-b_C9");
    assert_eq!(sanitise("  "), "Tocco");
    assert_eq!(sanitise("Flöte*?[]{}"), "Fl_te______");
}

#[test]
fn a_second_instance_gets_a_number_and_the_first_keeps_its_name() {
    let mut names = Names::default();
    assert_eq!(names.of(1, "Bass"), "Bass");
    assert_eq!(names.of(2, "Bass"), "Bass-2");
    assert_eq!(names.of(3, "Bass"), "Bass-3");
    names.keep(&[2, 3]);
    assert_eq!(names.of(2, "Bass"), "Bass-2", "a name does not change while others leave");
    assert_eq!(names.of(4, "Bass"), "Bass");
    assert_eq!(names.of(3, "Cello"), "Cello");
    assert_eq!(names.of(5, "Bass-2"), "Bass-2-2", "a wish that is another's name");
    assert_eq!(names.of(6, "Bass"), "Bass-3");
}

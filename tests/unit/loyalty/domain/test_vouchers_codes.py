"""Voucher codes survive being typed by people."""

from services.loyalty.domain.voucher_codes import ALPHABET, grouped_code, is_well_formed, new_code


def test_a_code_is_sixteen_letters_in_groups_of_four_without_look_alikes() -> None:
    code = new_code()

    assert [len(group) for group in code.split("-")] == [4, 4, 4, 4]
    assert set(code) <= {*ALPHABET, "-"}
    assert not {"0", "O", "1", "I", "L"} & set(ALPHABET)
    assert len(set(ALPHABET)) == 31


def test_a_code_is_recognised_in_small_letters_and_without_groups() -> None:
    code = new_code()

    assert is_well_formed(code)
    assert is_well_formed(code.replace("-", "").lower())


def test_every_single_wrong_letter_is_noticed() -> None:
    code = grouped_code(list(range(15))).replace("-", "")

    for place, right in enumerate(code):
        for letter in ALPHABET:
            typed = code[:place] + letter + code[place + 1 :]
            assert is_well_formed(typed) == (letter == right)


def test_every_exchange_of_neighbours_is_noticed() -> None:
    code = grouped_code([3, 1, 4, 1, 5, 9, 2, 6, 5, 30, 5, 8, 9, 7, 28]).replace("-", "")

    for place in range(len(code) - 1):
        left, right = code[place], code[place + 1]
        typed = code[:place] + right + left + code[place + 2 :]
        assert is_well_formed(typed) == (left == right)


def test_codes_differ() -> None:
    assert len({new_code() for _ in range(1000)}) == 1000

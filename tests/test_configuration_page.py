from tests.configuration_page import PAGE, page


def test_the_page_of_all_keys_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tests.configuration_page"

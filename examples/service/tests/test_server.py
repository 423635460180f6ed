import unittest

from app.server import answer


class Answers(unittest.TestCase):
    def test_titles_become_slugs_and_are_counted(self) -> None:
        self.assertEqual(answer("/slug/H%C3%A9llo%20World"), (200, {"slug": "hello-world", "asked": 1}))
        self.assertEqual(answer("/slug/hello-world"), (200, {"slug": "hello-world", "asked": 2}))

    def test_an_unknown_path_is_not_found(self) -> None:
        self.assertEqual(answer("/nowhere")[0], 404)


if __name__ == "__main__":
    unittest.main()

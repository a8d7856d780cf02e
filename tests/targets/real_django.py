"""A site whose views leave things behind: query sets that were evaluated, the log of all queries, a cache without end.

usage: see software.py
"""
import django
from django.conf import settings

settings.configure(
    DEBUG=True,  # so that each connection keeps a log of its queries
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "TIMEOUT": None,
                        "OPTIONS": {"MAX_ENTRIES": 1000000}}},
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
    INSTALLED_APPS=[], DEFAULT_AUTO_FIELD="django.db.models.AutoField", USE_TZ=True)
django.setup()

from django.core.cache import cache  # noqa: E402
from django.db import connection, models  # noqa: E402
from django.template import engines  # noqa: E402

import software  # noqa: E402

AUTHORS, BOOKS, REQUESTS = 40, 1500, 150
RECENT = []  # what the last requests looked at; nothing ever takes a thing out
PAGE = engines["django"].from_string("{% for book in books %}<li>{{ book.title|upper }} ({{ book.author.name }})</li>{% endfor %}")


class Author(models.Model):
    name = models.CharField(max_length=50)

    class Meta:
        app_label = "shop"


class Book(models.Model):
    title = models.CharField(max_length=100)
    author = models.ForeignKey(Author, models.CASCADE, related_name="books")
    added = models.DateTimeField(auto_now_add=True)

    class Meta:
        app_label = "shop"


def fill():
    with connection.schema_editor() as editor:
        editor.create_model(Author)
        editor.create_model(Book)
    authors = [Author.objects.create(name="author %d" % number) for number in range(AUTHORS)]
    Book.objects.bulk_create(Book(title="title %d" % number, author=authors[number % AUTHORS]) for number in range(BOOKS))


def view(number):
    books = Book.objects.filter(author_id=1 + number % AUTHORS).select_related("author")
    page = PAGE.render({"books": books})
    cache.set("page %d" % number, page)  # each request has a key of its own
    RECENT.append(books)
    return page


def main():
    fill()
    for number in range(REQUESTS):
        view(number)
    software.stay(recent=id(RECENT), books=id(RECENT[7]), book=id(RECENT[7][0]), cache=id(cache._cache),
                  queries=id(connection.queries_log))


main()

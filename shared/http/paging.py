"""Lists over HTTP: `?limit=` and `?cursor=` in, `{"data": […], "next_cursor": …}` out."""

from typing import Annotated, Generic, TypeVar

from fastapi import Query
from pydantic import Field

from shared.http.fields import ReplyModel
from shared.kernel.paging import MAX_PAGE

Item = TypeVar("Item")

LimitQuery = Annotated[int, Query(ge=1, le=MAX_PAGE, description="Rows per page")]
CursorQuery = Annotated[
    str | None, Query(max_length=512, description="`next_cursor` of the page before")
]


class PageReply(ReplyModel, Generic[Item]):
    """One page of a list; `next_cursor` is null at the end."""

    data: list[Item]
    next_cursor: Annotated[
        str | None, Field(description="`cursor` of the next page; null at the end")
    ]

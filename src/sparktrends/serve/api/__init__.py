"""The REST API under `/api/v1`: pages of `market`, an event stream of what commits change, acknowledging, silencing.

Words to go by: a *resource* (`resources`) is a listing of the store, its query model and its row model; everything
else is made from that table: routes (`app`), validation (`query`), the OpenAPI document (`document`).
"""

from sparktrends.serve.api.app import Api, create_app
from sparktrends.serve.api.config import ApiConfig

__all__ = ["Api", "ApiConfig", "create_app"]

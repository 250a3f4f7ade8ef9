# Two stages: the first has uv and builds the environment from the lock file, the second has only that environment.
FROM python:3.11-slim AS build
RUN pip install --no-cache-dir uv==0.13.8
ENV UV_PROJECT_ENVIRONMENT=/opt/callboard UV_PYTHON_DOWNLOADS=never UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy
WORKDIR /src
# The dependencies first: they change less often than the code, and their layer stays cached.
COPY pyproject.toml uv.lock README.md LICENSE ./
RUN uv sync --frozen --no-dev --no-install-project
COPY callboard ./callboard
RUN uv sync --frozen --no-dev --no-editable

FROM python:3.11-slim
COPY --from=build /opt/callboard /opt/callboard
ENV PATH=/opt/callboard/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
RUN useradd --system --uid 10001 --no-create-home callboard
USER 10001
WORKDIR /app
ENTRYPOINT ["callboard"]
CMD ["--help"]

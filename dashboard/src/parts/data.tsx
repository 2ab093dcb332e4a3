// A query's three endings in one place.

import { useQuery, type UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { get } from "../api";
import { Failure, Loading } from "./states";

export function useData<T>(path: string): UseQueryResult<T> {
  return useQuery({ queryKey: [path], queryFn: ({ signal }) => get<T>(path, signal) });
}

export function Data<T>({
  query,
  children,
}: {
  query: UseQueryResult<T>;
  children: (data: T) => ReactNode;
}) {
  if (query.data !== undefined) return children(query.data);
  if (query.error) return <Failure error={query.error} retry={() => void query.refetch()} />;
  return <Loading />;
}
